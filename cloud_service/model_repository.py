"""Triton's model repository for a bundle."""

import os
import string
from importlib.resources import files
from pathlib import Path

from cloud_service.inference import GUIDANCE, MAX_ROWS, MODEL_OUTPUT
from cloud_service.settings import package_folder
from cloud_service.triton_client import TEXT_ENCODER
from obclip.card import ModelCard
from obclip.errors import InvalidBundle
from obclip.plan import (
    STEP_KIND_GRAPHS,
    STEP_KINDS,
    UNET_CACHED,
    UNET_FULL,
    UNET_REUSE,
    UNET_SHALLOW,
    UNET_UP,
    UNET_UP_CACHED,
)

_TEXT_ENCODER_GRAPH = "text_encoder/model.onnx"
_PURPOSES = {
    UNET_FULL: 'The step kind "unet_full": one pass of the whole UNet.',
    UNET_SHALLOW: 'The step kind "unet_shallow": the outermost layers on a cached deep feature.',
    UNET_REUSE: 'The step kind "unet_reuse": the UNet on sets that share attention maps.',
    UNET_CACHED: 'The step kind "unet_cached": the UNet on cached attention outputs.',
    UNET_UP: 'The step kind "unet_up": the up blocks on cached skip connections.',
    UNET_UP_CACHED: 'The step kind "unet_up_cached": both at once.',
}
_CANDIDATES = -1  # Triton's word for an axis of any size
_MERGES = {
    "batch": "64 samples: the 30 candidates of gender x age x ethnicity, each with its guidance "
    "branch, in one call.",
    "merging": ": sets of different users merge although they are at different steps",
    "batching": """\
# No delay: what arrives while the model is busy merges, and a lone user never waits. No
# max_queue_size and no timeout either: either one switches prefetching off in Triton 2.51, whose
# batcher then misses wake-ups (a few calls in 1,000 took 500 ms) and can stall under load (server
# issue 8870). The orchestrator bounds this queue: it admits few sets at a time, each with one call
# under way. A call that was begun is not cancelled, which could end Triton 2.51.
dynamic_batching { }""",
}
_MERGES_NOT = {
    "batch": "64 sets; their candidates are an axis of their own.",
    "merging": "",
    "batching": "# No dynamic batching: merged sets would have rows without bound.",
}
_MODEL_PY = '''"""Triton loads this file; the model itself is cloud_service.triton_backend."""

from cloud_service.triton_backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


def embedded_repository() -> Path:
    """The repository of the embedded family, the package triton_models.

    Raises:
        CannotStart: it is not installed.
    """
    return package_folder("triton_models")


def write_repository(folder: Path, bundle: Path, card: ModelCard) -> None:
    """Writes `<model>/config.pbtxt` and `<model>/1/model.py` for Triton's python backend.

    Args:
        folder: the repository; files of the same names are replaced.
        bundle: the bundle, whose graphs the configs name by relative paths.
        card: of that bundle.

    Raises:
        InvalidBundle: the bundle lacks a graph.
    """
    folder, bundle = folder.resolve(), bundle.resolve()
    models = {TEXT_ENCODER: (_TEXT_ENCODER_GRAPH, "text_encoder", _text_shapes(card))}
    for kind in card.step_kinds:
        fields = _step_kind_fields(kind.name, card)
        models[kind.name] = (STEP_KIND_GRAPHS[kind.name], "step_kind", fields)
    for model, (graph, template, fields) in models.items():
        if not (bundle / graph).is_file():
            raise InvalidBundle(str(bundle / graph), "is absent")
        target = folder / model
        (target / "1").mkdir(parents=True, exist_ok=True)
        (target / "1" / "model.py").write_text(_MODEL_PY, "utf-8")
        path = files("cloud_service") / "triton_templates" / f"{template}.pbtxt"
        onnx_file = os.path.relpath(bundle / graph, target)
        config = string.Template(path.read_text("utf-8")).substitute(
            fields, max_rows=MAX_ROWS, onnx_file=onnx_file
        )
        (target / "config.pbtxt").write_text(config, "utf-8")


def select_models(folder: Path, repository: Path, card: ModelCard) -> None:
    """Makes a repository of links to the models of another one that a card needs.

    Args:
        folder: the new repository, an empty folder.
        repository: the other one, which may hold more models.
        card: with the step kinds that are needed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for model in (TEXT_ENCODER, *(kind.name for kind in card.step_kinds)):
        (folder / model).symlink_to(repository.resolve() / model)


def _text_shapes(card: ModelCard) -> dict[str, str]:
    text = card.text
    embedding = _dims(text.embedding_shape)
    return {**_MERGES, "tokens": _dims((text.max_tokens,)), "embedding": embedding}


def _step_kind_fields(kind: str, card: ModelCard) -> dict[str, str]:
    """What the template leaves open: name, tensors and warm-up of a step kind."""
    known = STEP_KINDS[kind]
    cached = {tensor.name: tensor.shape for tensor in card.cached_tensors}
    own = (_CANDIDATES,) if kind == UNET_REUSE else ()
    is_told_guidance = card.distillation is not None and card.distillation.embeds_guidance
    inputs = {
        "latents": (*own, *card.latents.shape),
        "timestep": (1,),
        "encoder_hidden_states": (*own, *card.text.embedding_shape),
        **({GUIDANCE: (1,)} if is_told_guidance else {}),
        **{name: (*own, *cached[name]) for name in known.takes},
    }
    outputs = {name: (*own, *cached[name]) for name in known.leaves}
    outputs = {MODEL_OUTPUT: (*own, *card.latents.shape), **outputs}
    return {
        "name": kind,
        "purpose": _PURPOSES[kind],
        "inputs": ",\n".join(_tensor(*item) for item in inputs.items()),
        "outputs": ",\n".join(_tensor(*item) for item in outputs.items()),
        **(_MERGES_NOT if kind == UNET_REUSE else _MERGES),
        "warmup": "\n".join(_warmup(*item) for item in inputs.items()),
    }


def _tensor(name: str, shape: tuple[int, ...]) -> str:
    return f'  {{ name: "{name}" data_type: TYPE_FP32 dims: [ {_dims(shape)} ] }}'


def _warmup(name: str, shape: tuple[int, ...]) -> str:
    dims = _dims(tuple(1 if axis == _CANDIDATES else axis for axis in shape))
    value = f"data_type: TYPE_FP32 dims: [ {dims} ] zero_data: true"
    return f'    inputs {{ key: "{name}" value {{ {value} }} }}'


def _dims(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))

"""The graphs of an assembled bundle: which there are, what each is made of, and how to load it."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import astuple, dataclass
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from cloud_service.export.assembly import DEVICE_UNET, text_folders
from cloud_service.export.graph_modules import TextEncoder, TwoTextEncoders, Unet, VaeDecoder
from cloud_service.export.onnx_graph import GraphPlan
from cloud_service.export.pipeline_folder import INDEX, TextFolders, UnetFolder, read_json
from cloud_service.export.step_kinds import StepKindUnet
from cloud_service.export.weights_file import weights_in
from obclip.card import sha256_file
from obclip.plan import STEP_KIND_GRAPHS, STEP_KINDS, UNET_REUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_EXAMPLES = 2
_MODEL = "model.onnx"
# A quarter of a grey level. ONNX Runtime adds up the 4 M values of a norm at 1024 pixels one by one
# in float32, which is off by 4e-4 where PyTorch is off by 7e-7 (docs/decisions/0009-parity.md).
_MAX_PICTURE_ERROR = 1e-3


@dataclass(frozen=True)
class Part:
    """One graph of a bundle.

    Attributes:
        name: e.g. "unet_full".
        folders: of the models that it is made of.
        onnx_file: the graph.
        facts: what decides the graph beside the models.
        load: loads them in float32, so that only one part is in memory at a time.
    """

    name: str
    folders: tuple[Path, ...]
    onnx_file: Path
    load: Callable[[], GraphPlan]
    facts: tuple[Any, ...] = ()

    def inputs_digest(self, image_size: int) -> str:
        """SHA-256 of all that decides the graph: models, size and releases of the exporters."""
        releases = {p: importlib.metadata.version(p) for p in ("obclip", "torch", "diffusers")}
        facts: list[Any] = [self.name, image_size, releases, *self.facts]
        for folder in self.folders:
            weights = weights_in(folder)
            stamp = weights.stat().st_mtime_ns, weights.stat().st_size
            facts += [read_json(folder / "config.json"), weights.name]
            facts.append(_weights_digest(weights, stamp))
        return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=16)  # the step kinds share one file of gigabytes
def _weights_digest(path: Path, _stamp: tuple[int, int]) -> str:
    return sha256_file(path)


class BundleFolder:
    """A bundle's folder after `assembly.assemble`.

    Args:
        path: the folder.
        latent_size: H and W of the latents.
        image_size: pixels of a picture's side.
        has_device_text: whether the device has a text encoder of its own.
    """

    def __init__(
        self, path: Path, latent_size: int, image_size: int, *, has_device_text: bool
    ) -> None:
        self.path = path
        self.image_size = image_size
        self._latent_size = latent_size
        self._has_device_text = has_device_text

    @cached_property
    def text(self) -> TextFolders:
        """The cloud's text encoders."""
        return self._text(self.path, "unet")

    @cached_property
    def device_text(self) -> TextFolders | None:
        """The device's own, or None."""
        folder = self.path / DEVICE_UNET
        return self._text(folder, DEVICE_UNET) if self._has_device_text else None

    def parts(self, kinds: Iterable[str]) -> list[Part]:
        """All graphs, with these step kinds of the cloud's UNet."""
        unet, vae = self.path / "unet", self.path / "vae"
        device = self.path / DEVICE_UNET
        found = [self._text_part("text_encoder", self.text)]
        for kind in STEP_KINDS:
            if kind in set(kinds):
                graph = self.path / STEP_KIND_GRAPHS[kind]
                found.append(Part(kind, (unet,), graph, partial(self._step_kind, kind)))
        found.append(Part(DEVICE_UNET, (device,), device / _MODEL, self._device_unet))
        if self.device_text is not None:
            found.append(self._text_part("device_text_encoder", self.device_text))
        found.append(Part("vae", (vae,), vae / "decoder.onnx", self._vae))
        return found

    def _text(self, folder: Path, unet: str) -> TextFolders:
        index = self.path / INDEX
        zeroes = read_json(index).get("force_zeros_for_empty_prompt", True)
        is_xl = UnetFolder(self.path / unet).pooled_width > 0
        return text_folders(folder, is_xl=is_xl, zeroes=zeroes)

    def _text_part(self, name: str, text: TextFolders) -> Part:
        load = partial(self._text_encoder, text)
        return Part(name, text.encoders, text.encoder / _MODEL, load, astuple(text.ids))

    def _text_encoder(self, text: TextFolders) -> GraphPlan:
        first = _load(CLIPTextModel, text.encoder, dtype=torch.float32)
        module: torch.nn.Module = TextEncoder(first)
        if text.second_encoder is not None:
            second_class = CLIPTextModelWithProjection
            second = _load(second_class, text.second_encoder, dtype=torch.float32)
            module = TwoTextEncoders(first, second, text.ids)
        shape = (_EXAMPLES, text.format.max_tokens)
        ids = torch.randint(first.config.vocab_size, shape, generator=_generator())
        ids[:, shape[1] // 2] = text.ids.end_token_id
        weights = tuple(map(weights_in, text.encoders))
        names = ("last_hidden_state",)
        return GraphPlan(module.eval(), weights, text.encoder / _MODEL, {"input_ids": ids}, names)

    def _unet(self, part: str) -> tuple[Unet, dict[str, torch.Tensor]]:
        """A UNet with two examples of its inputs."""
        folder = UnetFolder(self.path / part)
        loaded = _load(UNet2DConditionModel, folder.path, torch_dtype=torch.float32)
        model = Unet(loaded.eval(), folder.pooled_width, self.image_size)
        own = self.device_text if part == DEVICE_UNET else None
        text = (own or self.text).format.embedding_shape
        examples = {
            "latents": self._latents(folder.channels),
            "timestep": torch.tensor([1.0, 900.0]),
            "encoder_hidden_states": torch.randn(_EXAMPLES, *text, generator=_generator()),
        }
        if model.takes_guidance:
            examples["guidance"] = torch.tensor([7.5, 3.0])
        return model, examples

    def _device_unet(self) -> GraphPlan:
        model, examples = self._unet(DEVICE_UNET)
        folder = self.path / DEVICE_UNET
        weights = (weights_in(folder),)
        return GraphPlan(model.eval(), weights, folder / _MODEL, examples, ("model_output",))

    def _step_kind(self, kind: str) -> GraphPlan:
        model, examples = self._unet("unet")
        is_reuse = kind == UNET_REUSE
        if is_reuse:
            examples = {n: x if x.ndim == 1 else _as_sets(x) for n, x in examples.items()}
        module = StepKindUnet(model, kind, examples)
        examples |= module.cached_examples(_generator())
        return GraphPlan(
            module.eval(),
            (weights_in(self.path / "unet"),),
            self.path / STEP_KIND_GRAPHS[kind],
            examples,
            ("model_output", *STEP_KINDS[kind].leaves),
            batch_axes=2 if is_reuse else 1,
        )

    def _vae(self) -> GraphPlan:
        folder = self.path / "vae"
        config = read_json(folder / "config.json")
        model_class = getattr(diffusers, config["_class_name"])
        model = VaeDecoder(_load(model_class, folder, torch_dtype=torch.float32))
        examples = {"latents": self._latents(config["latent_channels"])}
        onnx_file = folder / "decoder.onnx"
        return GraphPlan(
            model.eval(),
            (weights_in(folder),),
            onnx_file,
            examples,
            ("image",),
            max_relative_error=_MAX_PICTURE_ERROR,
        )

    def _latents(self, channels: int) -> torch.Tensor:
        shape = (_EXAMPLES, channels, self._latent_size, self._latent_size)
        return torch.randn(shape, generator=_generator())


def _load(model_class: Any, folder: Path, **options: Any) -> Any:
    variant = "fp16" if ".fp16." in weights_in(folder).name else None
    return model_class.from_pretrained(folder, variant=variant, local_files_only=True, **options)


def _as_sets(value: torch.Tensor) -> torch.Tensor:
    """Two sets of three different rows each, from (2, ...)."""
    return torch.stack([value, value.flip(0), value.roll(1, -1)], dim=1)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)

"""Triton's model repository for a bundle."""

import json
import os
import string
from importlib.resources import files
from pathlib import Path

from cloud_service.settings import package_folder
from cloud_service.triton_client import TEXT_ENCODER
from obclip.card import ModelCard
from obclip.errors import InvalidBundle
from obclip.plan import UNET_FULL

# Triton model -> its graph in the bundle.
GRAPHS = {TEXT_ENCODER: "text_encoder/model.onnx", UNET_FULL: "unet/model.onnx"}
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


def embedding_width(bundle: Path) -> int:
    """D, the width of the bundle's text embedding, from the text encoder's config.

    Raises:
        InvalidBundle: text_encoder/config.json is absent or names none.
    """
    path = bundle / "text_encoder" / "config.json"
    try:
        width = json.loads(path.read_text(encoding="utf-8"))["hidden_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidBundle(str(path), "names no hidden_size") from error
    if not isinstance(width, int) or not 1 <= width <= 65536:
        raise InvalidBundle(str(path), "hidden_size is no width")
    return width


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
    shapes = _shapes(card, embedding_width(bundle))
    for model, graph in GRAPHS.items():
        if not (bundle / graph).is_file():
            raise InvalidBundle(str(bundle / graph), "is absent")
        target = folder / model
        (target / "1").mkdir(parents=True, exist_ok=True)
        (target / "1" / "model.py").write_text(_MODEL_PY, "utf-8")
        template = files("cloud_service") / "triton_templates" / f"{model}.pbtxt"
        onnx_file = os.path.relpath(bundle / graph, target)
        config = string.Template(template.read_text("utf-8")).substitute(
            shapes, onnx_file=onnx_file
        )
        (target / "config.pbtxt").write_text(config, "utf-8")


def _shapes(card: ModelCard, width: int) -> dict[str, str]:
    """The templates' names for the shapes without the batch axis."""
    tokens = card.text.max_tokens
    shapes = {"latents": card.latents.shape, "tokens": (tokens,), "embedding": (tokens, width)}
    return {name: ", ".join(map(str, shape)) for name, shape in shapes.items()}

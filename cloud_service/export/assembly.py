"""Puts a pair together in the folder that becomes the bundle, and takes away what is of another.

Files are copied: ONNX's libraries refuse weights with more than one hard link, and links that lead
out of a graph's folder.
"""

from __future__ import annotations

import contextlib
import filecmp
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save_file

from cloud_service.export.errors import ExportFailed
from cloud_service.export.export_record import RECORD_FILE
from cloud_service.export.pipeline_folder import INDEX, TextFolders
from cloud_service.export.text_ids import TOKENIZER_FILE, write_fast_tokenizer
from cloud_service.export.weights_file import weights_in
from obclip.card import CARD_FILE, FOLDERS, list_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud_service.export.pair import ModelPair

SECOND = "second"
DEVICE_UNET = "device_unet"
_TEXT = {".json", ".txt"}


def sources(pair: ModelPair) -> dict[str, Path]:
    """Folder of the bundle -> the folder that it is made of."""
    found = {
        "unet": pair.cloud.unet.path,
        "vae": pair.vae,
        "scheduler": pair.cloud.path / "scheduler",
        DEVICE_UNET: pair.device_unet.path,
        **_text_sources("", pair.cloud.text),
    }
    own = pair.device_text
    return found | (_text_sources(f"{DEVICE_UNET}/", own) if own else {})


def require_place(pair: ModelPair, bundle: Path) -> None:
    """Refuse a folder with something else in it: its models would be written over.

    Args:
        pair: the models.
        bundle: where they are to go: an empty or absent folder, what an export left, or a source.

    Raises:
        ExportFailed: it holds something else.
    """
    own = [bundle / CARD_FILE, bundle / RECORD_FILE]
    if any(file.is_file() for file in own) or bundle.resolve() in _origins(pair):
        return
    if bundle.exists() and not (bundle.is_dir() and not any(bundle.iterdir())):
        raise ExportFailed(str(bundle), "holds something that is no bundle", "name an empty folder")


def text_folders(bundle: Path, *, is_xl: bool, zeroes: bool) -> TextFolders:
    """The text encoders of a bundle, or of its device's part.

    Args:
        bundle: the bundle, or its folder device_unet.
        is_xl: whether there are two.
        zeroes: see `TextFolders`.
    """
    encoder, tokenizer = bundle / "text_encoder", bundle / "tokenizer"
    if not is_xl:
        return TextFolders(encoder, tokenizer)
    return TextFolders(encoder, tokenizer, encoder / SECOND, tokenizer / SECOND, zeroes)


def assemble(pair: ModelPair, bundle: Path, precision: str | None) -> None:
    """Fill a bundle's folder, without its graphs.

    What lies there already and is the same file stays; so a folder that is both, source and
    bundle, is left as it is. What another pair's export left, and this one lacks, goes: the card's
    digests would cover it.

    Args:
        pair: the models.
        bundle: the folder.
        precision: "fp16" stores weights in float16, rounding those that are not; "fp32" takes
            float32 weights alone; None takes what there is.

    Raises:
        ExportFailed: a source lacks what is needed.
        OSError: the folder cannot be written.
    """
    _put(pair.cloud.path / INDEX, bundle / INDEX)
    kept: set[Path] = set()
    for name, source in sources(pair).items():
        kept |= _put_part(name, source, bundle / name, precision)
    _clear(pair, bundle, kept)


def _text_sources(prefix: str, text: TextFolders) -> dict[str, Path]:
    found = {}
    for name, folders in {"text_encoder": text.encoders, "tokenizer": text.tokenizers}.items():
        for folder, suffix in zip(folders, ("", f"/{SECOND}"), strict=False):
            found[f"{prefix}{name}{suffix}"] = folder
    return found


def _put_part(name: str, source: Path, target: Path, precision: str | None) -> set[Path]:
    """Put one folder of `sources` into the bundle; gives the files that are its own."""
    texts = [file for file in sorted(source.iterdir()) if file.suffix in _TEXT]
    for file in texts:
        _put(file, target / file.name)
    kept = {target / file.name for file in texts}
    if "tokenizer" in name:
        if target / TOKENIZER_FILE not in kept:
            write_fast_tokenizer(source, target)
        kept.add(target / TOKENIZER_FILE)
    elif name != "scheduler":
        kept.add(_put_weights(source, target, precision))
    return kept


def _put_weights(source: Path, target: Path, precision: str | None) -> Path:
    weights = weights_in(source, precision)
    if precision != "fp16" or ".fp16." in weights.name:
        put = target / weights.name
        _put(weights, put)
    else:
        put = target / weights.name.replace(".safetensors", ".fp16.safetensors")
        _round(weights, put)
    return put


def _clear(pair: ModelPair, bundle: Path, kept: set[Path]) -> None:
    """Remove models and texts that are not of this pair, but nothing that models are taken from.

    The graphs in its own folders stay: those that do not fit are exported again.
    """
    own = {bundle / name for name in sources(pair)}
    origins = _origins(pair) - {bundle.resolve()}
    stale = [
        file
        for folder in FOLDERS.values()
        for file in list_folder(bundle / folder).values()
        if file not in kept
        and not (file.suffix == ".onnx" and file.parent in own)
        and origins.isdisjoint(file.resolve().parents)
    ]
    for file in stale:
        file.unlink()
    for folder in sorted({file.parent for file in stale} - own, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _origins(pair: ModelPair) -> set[Path]:
    """Every folder that belongs to a source, links followed."""
    pipelines = [pair.cloud, *filter(None, [pair.device_pipeline])]
    folders = [pipeline.path for pipeline in pipelines] + list(sources(pair).values())
    return {folder.resolve() for folder in folders}


def _put(source: Path, target: Path) -> None:
    if not (target.exists() and _are_equal(source, target)):
        with _replaced(target) as partial:
            shutil.copy2(source, partial)


def _are_equal(source: Path, target: Path) -> bool:
    """By content: models of one architecture have one size, and an archive gives all one time."""
    return target.samefile(source) or filecmp.cmp(source, target, shallow=False)


def _round(source: Path, target: Path) -> None:
    """Write float16 weights; always, as a file does not tell what it was rounded from."""
    with safe_open(source, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no dict
    halves = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    with _replaced(target) as partial:
        save_file(halves, partial, metadata={"format": "pt"})


@contextlib.contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """Gives a file to write, which takes the target's place once it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

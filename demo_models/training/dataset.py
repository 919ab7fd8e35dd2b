"""The training set as memory maps: portraits, token ids of their captions, their attributes."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from rich.progress import track

from demo_models.captions import caption
from demo_models.portrait import VALUES, attribute_indices, sample_portrait
from demo_models.renderer import render
from demo_models.tokenizer import MAX_TOKENS, build_tokenizer

CAPTIONS_PER_PORTRAIT: Final = 4
_CHUNK: Final = 500
_HELD_OUT_SEED: Final = 1_000_003


@dataclass(frozen=True)
class Dataset:
    """A rendered set.

    Attributes:
        images_u8: (count, 128, 128, 3) uint8.
        tokens: (count, CAPTIONS_PER_PORTRAIT, MAX_TOKENS) uint16.
        attributes: (count, attributes) uint8, columns in the order of `VALUES`.
    """

    images_u8: NDArray[np.uint8]
    tokens: NDArray[np.uint16]
    attributes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images_u8)


def _shapes(count: int) -> dict[str, tuple[tuple[int, ...], type]]:
    return {
        "images_u8": ((count, 128, 128, 3), np.uint8),
        "tokens": ((count, CAPTIONS_PER_PORTRAIT, MAX_TOKENS), np.uint16),
        "attributes": ((count, len(VALUES)), np.uint8),
    }


def open_dataset(folder: Path) -> Dataset:
    """Opens a rendered set read-only.

    Raises:
        FileNotFoundError: It was never rendered to its end; run the `dataset` step.
    """
    if not (folder / "complete").exists():
        raise FileNotFoundError(f"{folder} holds no complete data: run the step `dataset` first")
    return Dataset(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _shapes(0)})


def render_dataset(folder: Path, count: int, *, held_out: bool = False) -> None:
    """Renders `count` portraits; a second call goes on where an interrupted one stopped.

    Args:
        folder: Where the arrays go.
        count: Portraits, a multiple of 500.
        held_out: Whether to draw from the combinations kept out of training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (shape, dtype) in _shapes(count).items():
        path = folder / f"{name}.npy"
        if not path.exists():
            open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
    jobs = [(folder, start, held_out) for start in range(0, count, _CHUNK)]
    jobs = [job for job in jobs if not _mark(folder, job[1]).exists()]
    with multiprocessing.get_context("spawn").Pool() as pool:
        for _ in track(pool.imap_unordered(_render_chunk, jobs), "rendering", total=len(jobs)):
            pass
    (folder / "complete").touch()


def _mark(folder: Path, start: int) -> Path:
    return folder / f"done-{start}"


def _render_chunk(job: tuple[Path, int, bool]) -> None:
    folder, start, held_out = job
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _shapes(0)}
    tokenizer = build_tokenizer()
    for i in range(start, start + _CHUNK):
        rng = np.random.default_rng((_HELD_OUT_SEED if held_out else 0, i))
        portrait = sample_portrait(rng, held_out=held_out)
        texts = [caption(portrait, rng) for _ in range(CAPTIONS_PER_PORTRAIT)]
        arrays["images_u8"][i] = render(portrait)
        arrays["tokens"][i] = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        arrays["attributes"][i] = list(attribute_indices(portrait).values())
    for array in arrays.values():
        array.flush()
    _mark(folder, start).touch()

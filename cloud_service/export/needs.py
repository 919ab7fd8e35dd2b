"""What an export takes of disk and memory, told before it starts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_service.export.assembly import DEVICE_UNET, sources
from cloud_service.export.errors import ExportFailed
from cloud_service.export.weights_file import read_layout, weights_in

if TYPE_CHECKING:
    from pathlib import Path

    from cloud_service.export.pair import ModelPair
    from cloud_service.export.pipeline_folder import UnetFolder

_GIB = 2**30
_GRAPH_BYTES = 4 * 2**20  # the largest graph seen, SDXL's, with room
_BASE_BYTES = _GIB  # torch, diffusers and ONNX Runtime without a model
_LARGE_BYTES = _GIB  # of float32: from here the check reads stored weights, see parity
_FLOAT_BYTES = 4
_ROWS = 2  # in the largest batch that a large part is checked with
_COPIES = 3  # of the largest value between layers, at a time


@dataclass(frozen=True)
class Needs:
    """What an export takes.

    Attributes:
        disk_bytes: new bytes in the bundle's folder.
        memory_bytes: about the most at one time.
    """

    disk_bytes: int
    memory_bytes: int

    def __str__(self) -> str:
        disk, memory = self.disk_bytes / _GIB, self.memory_bytes / _GIB
        return f"about {disk:.2f} GiB of disk and {memory:.1f} GiB of memory"


def estimate(pair: ModelPair, bundle: Path, precision: str | None, graphs: int) -> Needs:
    """Count from the headers of the weights.

    Args:
        pair: the models.
        bundle: the folder to fill; need not exist.
        precision: see `assembly.assemble`.
        graphs: how many will be written.
    """
    disk, memory = graphs * _GRAPH_BYTES, dict[str, int]()
    for name, source in sources(pair).items():
        if name == "scheduler" or "tokenizer" in name:
            continue
        file = weights_in(source, precision)
        numbers = sum(tensor.count for tensor in read_layout(file))
        stored = file.stat().st_size
        if precision == "fp16" and ".fp16." not in file.name:
            stored = 2 * numbers
        if not _is_there(bundle / name / file.name, stored):
            disk += stored
        # Both of SDXL's text encoders are in one graph, so in memory together.
        part = name.removesuffix("/second")
        held = _part_bytes(_FLOAT_BYTES * numbers, stored, _largest_value(pair, name))
        memory[part] = memory.get(part, 0) + held
    return Needs(disk, max(memory.values()) + _BASE_BYTES)


def _part_bytes(wide: int, stored: int, largest_value: int) -> int:
    """While torch widens what is stored, or while the graph runs; a small one beside torch's."""
    running = stored if wide > _LARGE_BYTES else 2 * wide
    return max(wide + stored, running + _COPIES * largest_value)


def _largest_value(pair: ModelPair, name: str) -> int:
    """Bytes of the largest value between a part's layers, which ONNX Runtime does not fuse."""
    latent = pair.image_size // pair.cloud.vae_factor
    numbers = {"unet": _map_numbers(pair.cloud.unet, latent)}
    numbers[DEVICE_UNET] = _map_numbers(pair.device_unet, latent)
    numbers["vae"] = max(latent**4, pair.image_size**2 * _picture_channels(pair))
    return _ROWS * _FLOAT_BYTES * numbers.get(name, 0)


def _map_numbers(unet: UnetFolder, latent: int) -> int:
    """Of the attention maps of one layer at the highest resolution that has any, all heads."""
    blocks = unet.config["down_block_types"]
    level = next((i for i, block in enumerate(blocks) if "Attn" in block), None)
    if level is None:
        return 0
    heads = unet.config["attention_head_dim"]  # diffusers' name for the number of heads
    count: int = heads[level] if isinstance(heads, list) else heads
    return count * (latent >> level) ** 4


def _picture_channels(pair: ModelPair) -> int:
    """Of the decoder's first layer at the picture's full resolution."""
    config = pair.cloud.vae_config
    widths = config.get("block_out_channels") or config["decoder_block_out_channels"]
    return int(max(widths[:2]))


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def require_disk(bundle: Path, needs: Needs) -> None:
    """Refuse to start what cannot end.

    Raises:
        ExportFailed: the bundle's file system has fewer free bytes.
    """
    free = shutil.disk_usage(_existing(bundle)).free
    if free < needs.disk_bytes:
        raise ExportFailed(
            str(bundle),
            f"needs {needs.disk_bytes / _GIB:.2f} GiB and its disk has {free / _GIB:.2f}",
            "free some, or choose another --out",
        )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.resolve().parents) if path.is_dir())

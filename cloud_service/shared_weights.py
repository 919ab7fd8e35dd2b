"""One copy of the weights for all step kinds that ONNX Runtime serves.

Each step kind is a process of its own, and ONNX Runtime would give each its own fp32 copy of the
weights it needs. Here it optimises all graphs once, for this processor, and leaves their weights in
one file, in which equal tensors lie once. The processes map that file, so they share its pages.

`python -m cloud_service.shared_weights BUNDLE FOLDER GRAPH...` does the work and ends, so that the
memory it took is given back.
"""

import asyncio
import contextlib
import hashlib
import mmap
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import onnx
import onnxruntime as ort

from cloud_service import parent_death
from cloud_service.startup_error import CannotStart

SHARED_WEIGHTS = "shared_weights"
_MIN_BYTES = 1024  # smaller tensors stay in their graph
_TIMEOUT_S = 600.0


async def share_weights(bundle: Path, folder: Path, graphs: Iterable[str]) -> None:
    """Writes optimised graphs, in a process that dies with this one.

    Args:
        bundle: folder of the graphs.
        folder: for the same relative names, and for the weights beside them.
        graphs: paths in both, e.g. "unet/model.onnx".

    Raises:
        CannotStart: ONNX Runtime refuses a graph, there is no room, or it takes too long.
    """
    command = [sys.executable, "-P", "-m", __name__, str(bundle), str(folder), *graphs]
    process = await asyncio.create_subprocess_exec(
        *parent_death.bound_to_us(*command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        code = await asyncio.wait_for(process.wait(), _TIMEOUT_S)
    except TimeoutError:
        code = None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if code != 0:
        raise CannotStart(
            f"the weights of {bundle} cannot be prepared",
            f"run {' '.join(command[1:])} with Python to see why, or change OBCLIP_PROFILES",
        )


def write_shared(bundle: Path, folder: Path, graphs: Iterable[str]) -> None:
    """Writes optimised graphs and their weights.

    Args:
        bundle: folder of the graphs.
        folder: for the same relative names; weights lie beside, one file in each folder.
        graphs: paths in both.
    """
    seen: dict[tuple[Path, bytes], int] = {}
    for graph in graphs:
        target = folder / graph
        target.parent.mkdir(parents=True, exist_ok=True)
        own_weights = target.with_suffix(".weights")
        _optimise(bundle / graph, target, own_weights.name)
        with (target.parent / SHARED_WEIGHTS).open("ab") as shared:
            _move_weights(target, own_weights, shared, seen)
        own_weights.unlink(missing_ok=True)


def _optimise(source: Path, target: Path, weights: str) -> None:
    """Lets ONNX Runtime write the graph as it would run it on this processor."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(target)
    entries = {
        "session.optimized_model_external_initializers_file_name": weights,
        "session.optimized_model_external_initializers_min_size_in_bytes": str(_MIN_BYTES),
    }
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    ort.InferenceSession(str(source.resolve()), options, providers=["CPUExecutionProvider"])


def _move_weights(
    graph: Path, weights: Path, shared: BinaryIO, seen: dict[tuple[Path, bytes], int]
) -> None:
    """Points a graph's external tensors at the shared file, to which new ones are added."""
    model = onnx.load(graph, load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry for entry in tensor.external_data}
            offset, length = (int(entries[key].value) for key in ("offset", "length"))
            content = _read(weights, offset, length)
            key = (graph.parent, hashlib.sha256(content).digest())
            if key not in seen:
                seen[key] = _append(shared, content)
            entries["location"].value = SHARED_WEIGHTS
            entries["offset"].value = str(seen[key])
    onnx.save(model, graph)


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _append(shared: BinaryIO, content: bytes) -> int:
    """Adds a tensor on a page of its own, as mapping needs it; gives its offset."""
    shared.seek(0, os.SEEK_END)
    shared.write(b"\0" * (-shared.tell() % mmap.PAGESIZE))
    offset = shared.tell()
    shared.write(content)
    return offset


if __name__ == "__main__":
    write_shared(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

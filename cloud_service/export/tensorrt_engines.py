"""Builds TensorRT engines from graphs and profiles; runs where the GPU is.

It needs Python's standard library and the package `tensorrt` alone, so that it runs in NVIDIA's
image as it is: `python build_engines.py`. Engines fit one GPU model and one release of TensorRT.

Not run yet on a GPU: the tests drive it through a recording of TensorRT 11's Python API.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Report = Callable[[str], None]  # called with one line of text


class BuildFailed(Exception):
    """TensorRT refused a graph or gave no engine.

    Args:
        model: name of the Triton model.
        reason: what TensorRT said, or what it did not do.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model}: {reason}")


@dataclass(frozen=True)
class EngineOrder:
    """One engine to build.

    Attributes:
        name: of the Triton model.
        graph: the ONNX graph, types written out.
        engine: the file to write, `<repository>/<model>/1/model.plan`.
        made_of: digest of graph, weights and profiles.
        profiles: input name -> smallest, best and largest shape; one dict for each profile, in
            the order of their numbers in config.pbtxt.
    """

    name: str
    graph: Path
    engine: Path
    made_of: str
    profiles: list[dict[str, list[list[int]]]]


def read_orders(path: Path) -> list[EngineOrder]:
    """Read `engines.json`; its paths are relative to its folder."""
    folder = path.resolve().parent
    return [
        EngineOrder(
            order["name"],
            folder / order["graph"],
            folder / order["engine"],
            order["made_of"],
            order["profiles"],
        )
        for order in json.loads(path.read_text(encoding="utf-8"))["engines"]
    ]


def build_engine(trt: Any, order: EngineOrder, workspace_bytes: int) -> bytes:
    """Build one engine.

    Args:
        trt: the package tensorrt, 10 or 11.
        order: what to build.
        workspace_bytes: GPU memory that the builder may use for one layer.

    Returns:
        The serialised engine.

    Raises:
        BuildFailed: TensorRT refused the graph or a profile, or gave no engine.
    """
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # TensorRT 11 ignores the flag: its networks are always strongly typed.
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(order.graph)):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        raise BuildFailed(order.name, "; ".join(errors) or "the graph was not parsed")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    for profile in order.profiles:
        _add_profile(builder, config, order.name, profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BuildFailed(order.name, "no engine was built; see TensorRT's lines above")
    return bytes(engine)


def _add_profile(builder: Any, config: Any, name: str, shapes: dict[str, list[list[int]]]) -> None:
    profile = builder.create_optimization_profile()
    for tensor, (smallest, best, largest) in shapes.items():
        profile.set_shape(tensor, smallest, best, largest)
    if config.add_optimization_profile(profile) < 0:
        raise BuildFailed(name, f"the profile {shapes} was refused")


def build_all(trt: Any, orders: list[EngineOrder], workspace_bytes: int, report: Report) -> None:
    """Build what is not built yet; an engine appears when it is whole.

    Args:
        trt: the package tensorrt.
        orders: of `read_orders`.
        workspace_bytes: see `build_engine`.
        report: called with a line for each engine.

    Raises:
        BuildFailed: see `build_engine`; engines before it are kept.
    """
    for order in orders:
        made_of = f"tensorrt {trt.__version__} {order.made_of}"
        stamp = order.engine.with_suffix(".plan.made_of")
        if order.engine.exists() and stamp.exists() and stamp.read_text() == made_of:
            report(f"{order.name}: is there")
            continue
        report(f"{order.name}: building, {len(order.profiles)} profiles")
        partial = order.engine.with_suffix(".plan.partial")
        partial.write_bytes(build_engine(trt, order, workspace_bytes))
        stamp.unlink(missing_ok=True)
        partial.replace(order.engine)
        stamp.write_text(made_of)
        report(f"{order.name}: {order.engine.stat().st_size / 2**20:.0f} MiB")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the TensorRT engines of a repository.")
    default = Path(__file__).with_name("engines.json")
    parser.add_argument("orders", nargs="?", type=Path, default=default)
    parser.add_argument("--only", metavar="MODEL", help="build this model's engine alone")
    parser.add_argument("--workspace-gib", type=float, default=4.0)
    given = parser.parse_args()
    orders = [o for o in read_orders(given.orders) if given.only in {None, o.name}]
    try:
        trt = importlib.import_module("tensorrt")  # on the GPU's machine alone
        build_all(trt, orders, int(given.workspace_gib * 2**30), _say)
    except ModuleNotFoundError as error:
        sys.exit(f"build_engines: {error.name} is missing; run this in NVIDIA's TensorRT image")
    except BuildFailed as error:
        sys.exit(f"build_engines: {error}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()

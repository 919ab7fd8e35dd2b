"""The command line of the export; `make models` runs it."""

import importlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from cloud_service.export.card_settings import CardSettings
from cloud_service.export.errors import ExportFailed
from obclip.card import Defaults, ModelCard
from obclip.errors import ObclipError

if TYPE_CHECKING:
    from cloud_service.export.onnx_graph import ExportedGraph

_KIB = 2**10
_MIB = 2**20
_MEGA = 1e6

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Pipeline = Annotated[
    Path,
    typer.Option(
        help="Folder of a pipeline shaped like Stable Diffusion 1.x, with device_unet beside unet.",
        exists=True,
        file_okay=False,
    ),
]
TritonModels = Annotated[
    Path | None, typer.Option(help="Triton model repository to write for this pipeline.")
]
Family = Annotated[str | None, typer.Option(help="Name of the model family, e.g. my-portraits.")]
Licence = Annotated[str | None, typer.Option(help="SPDX expression of the weights.")]
WireType = Annotated[
    Literal["float16", "float32"] | None,
    typer.Option(help="Type of the latents that the cloud sends to the device."),
]
DefaultSettings = Annotated[
    tuple[int, float, int] | None,
    typer.Option(
        help="What the device asks for by default.", metavar="STEPS GUIDANCE SWITCH_POINT"
    ),
]


@app.command()
def export(
    pipeline: Pipeline,
    triton_models: TritonModels = None,
    family: Family = None,
    licence: Licence = None,
    wire_type: WireType = None,
    defaults: DefaultSettings = None,
) -> None:
    """Write ONNX graphs beside a pipeline's safetensors files, and the bundle's card.json.

    The graphs hold no weights: they read them from the safetensors files, so keep both together.
    Each graph is compared with PyTorch before it is kept. What is not given here is taken from the
    folder's old card.json. Needs the extras: pip install 'obclip[cloud,export]'.
    """
    given: dict[str, Any] = {"family": family, "licence": licence, "wire_type": wire_type}
    try:
        given["defaults"] = defaults and Defaults(*defaults)
        known = {name: value for name, value in given.items() if value is not None}
        exported = _export(pipeline, replace(CardSettings.of_folder(pipeline), **known))
        if triton_models is not None:
            repository = _load("cloud_service.model_repository")
            repository.write_repository(triton_models, pipeline, ModelCard.load(pipeline))
    except (ObclipError, ValueError) as error:
        Console(stderr=True, soft_wrap=True).print(f"export: {error}", style="red", markup=False)
        raise typer.Exit(getattr(error, "exit_code", 1)) from None
    Console().print(_table(exported))


def _export(pipeline: Path, settings: CardSettings) -> "dict[str, ExportedGraph]":
    bundle = _load("cloud_service.export.bundle")
    # torch notes that torchvision is absent; transformers draws bars of its own.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    _load("transformers").logging.disable_progress_bar()
    with Console(stderr=True).status("loading") as status:
        exported: dict[str, ExportedGraph] = bundle.export_bundle(
            pipeline, settings, lambda part: status.update(f"exporting {part}")
        )
    return exported


def _load(module: str) -> Any:
    """Import a module of an extra: seconds that --help need not wait for."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ExportFailed(
            str(error.name), "is not installed", "pip install 'obclip[cloud,export]'"
        ) from error


def _table(exported: "Mapping[str, ExportedGraph]") -> Table:
    caption = (
        "error: largest difference from PyTorch over its largest value. Times: 2 samples. "
        f"MMAC: for 1 sample; {_load('cloud_service.export.macs').RULE}."
    )
    rows = {part: _row(graph) for part, graph in exported.items()}
    table = Table("part", title="ONNX graphs", caption=caption)
    for heading in next(iter(rows.values())):
        table.add_column(heading, justify="right")
    for part, row in rows.items():
        table.add_row(part, *row.values())
    return table


def _row(graph: "ExportedGraph") -> dict[str, str]:
    return {
        "graph KiB": f"{graph.graph_bytes / _KIB:.0f}",
        "weights MiB": f"{graph.weight_bytes / _MIB:.2f}",
        "MMAC": f"{graph.macs / _MEGA:.0f}",
        "error": f"{graph.parity.max_relative:.1e}",
        "PyTorch ms": f"{graph.parity.torch_ms:.1f}",
        "ORT ms": f"{graph.parity.ort_ms:.1f}",
        "export s": f"{graph.export_s:.0f}",
    }

"""The command `obclip export`; `make models` runs it for the embedded family."""

import importlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from cloud_service.export.card_settings import UNSTATED, CardSettings
from cloud_service.export.errors import ExportFailed
from cloud_service.inference import MAX_ROWS
from obclip.card import Defaults, ModelCard
from obclip.plan import STEP_KINDS, UNET_FULL, Profile

if TYPE_CHECKING:
    from cloud_service.export.onnx_graph import ExportedGraph
    from cloud_service.export.pair import ModelPair

_ALL = ",".join(Profile)
_KIB = 2**10
_MIB = 2**20
_MEGA = 1e6
_ANY = CardSettings("any", UNSTATED, "float16", Defaults(25, 7.5, 10))
_REMEDIES = {
    "family": "write letters, digits and _.+-, at most 64",
    "licence": "write an SPDX expression, e.g. Apache-2.0",
    "device_steps": "choose one of that range",
    "shift": "choose one of that range",
}

Cloud = Annotated[
    str, typer.Option(metavar="DIR_OR_ID", help="Pipeline of the cloud, in diffusers' format.")
]
Device = Annotated[str, typer.Option(metavar="DIR_OR_ID", help="Pipeline or UNet of the device.")]
Out = Annotated[Path, typer.Option(help="Folder of the bundle.", file_okay=False)]
Runtime = Annotated[
    Literal["onnxruntime", "tensorrt"], typer.Option(help="What runs the models in the cloud.")
]
Precision = Annotated[
    Literal["fp32", "fp16"] | None,
    typer.Option(help="How weights are stored. Default: as they are, fp16 where there are both."),
]
Candidates = Annotated[
    str, typer.Option(help="Sizes of candidate sets with an engine each, for tensorrt.")
]
Size = Annotated[int | None, typer.Option(help="Pixels of the pictures. Default: as trained.")]
Vae = Annotated[
    Literal["cloud", "device"] | None,
    typer.Option(help="Whose VAE the device decodes with, where they differ."),
]
Profiles = Annotated[
    str,
    typer.Option(
        help="Export the step kinds of these profiles, and the whole UNet.", show_default=False
    ),
]
TritonModels = Annotated[
    Path | None, typer.Option(help="Triton model repository to write. Default: OUT/triton_models.")
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
DeviceSteps = Annotated[
    int | None, typer.Option(help="Steps of the device's run after a step-distilled cloud.")
]
Shift = Annotated[
    int | None, typer.Option(help="dt: how many steps later the device goes on after such a cloud.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the pair, say the needs, and end.")]


def export(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    cloud: Cloud,
    device: Device,
    out: Out,
    runtime: Runtime = "onnxruntime",
    precision: Precision = None,
    candidates: Candidates = "2,6,12,30",
    size: Size = None,
    vae: Vae = None,
    profiles: Profiles = _ALL,
    triton_models: TritonModels = None,
    family: Family = None,
    licence: Licence = None,
    wire_type: WireType = None,
    defaults: DefaultSettings = None,
    device_steps: DeviceSteps = None,
    shift: Shift = None,
    *,
    dry_run: DryRun = False,
) -> None:
    """Make a bundle of your own Stable Diffusion: graphs, card and Triton's model repository.

    Graphs hold no weights: they read them from the safetensors files, which are copied into the
    bundle. Each graph is compared with PyTorch before it is kept. What is not given here is taken
    from the bundle's old card. Run the same command again after a break: finished parts are kept.
    """
    sizes = _numbers(candidates)
    kinds = _step_kinds(profiles)
    given = _given(
        family=family,
        licence=licence,
        wire_type=wire_type,
        defaults=defaults and partial(Defaults, *defaults),
        device_steps=device_steps,
        shift=shift,
    )
    _load("torch")  # before transformers, which only warns that it is absent
    _quieten()
    source = _load("cloud_service.export.source")
    places = (source.locate(place, precision) for place in (cloud, device))
    pair = _load("cloud_service.export.pair").ModelPair(*places, vae, size)
    settings = _settings(out, pair, given)
    _load("cloud_service.export.bundle").require_card(pair, settings)
    _load("cloud_service.export.assembly").require_place(pair, out)
    _tell_needs(pair, out, precision, graphs=len(kinds) + 4)
    if dry_run:
        return
    exported = _export(pair, out, precision, kinds, settings)
    _write_repository(out, triton_models or out / "triton_models", runtime, sizes)
    Console().print(_table(exported))
    if settings.licence == UNSTATED:
        Console(stderr=True).print("The card states no licence of the weights: say --licence.")


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [part.strip() for part in text.split(",")]
    if not all(number.isdecimal() and 1 <= int(number) <= MAX_ROWS for number in numbers):
        raise ExportFailed(
            "--candidates", f"is no list of numbers in 1..{MAX_ROWS}", "write it as 2,6,12,30"
        )
    return tuple(map(int, numbers))


def _given(**options: Any) -> dict[str, Any]:
    """The options of the card that were given, each one that a card takes."""
    given = {}
    for name, value in options.items():
        if value is None:
            continue
        try:
            given[name] = value() if callable(value) else value
            replace(_ANY, **{name: given[name]})
        except ValueError as error:
            option, reason = f"--{name.replace('_', '-')}", str(error).removeprefix(f"{name} ")
            raise ExportFailed(option, reason, _REMEDIES.get(name, "change it")) from error
    return given


def _step_kinds(text: str) -> frozenset[str]:
    """The whole UNet, by which the card measures all costs, and what the profiles need beside."""
    try:
        return frozenset({UNET_FULL}).union(
            *(Profile(word).step_kinds() for word in text.split(","))
        )
    except ValueError:
        known = ",".join(Profile)
        raise ExportFailed(
            "--profiles", "names one that does not exist", f"choose from {known}"
        ) from None


def _settings(out: Path, pair: "ModelPair", given: dict[str, Any]) -> CardSettings:
    record = _load("cloud_service.export.export_record").ExportRecord.load(out)
    old = CardSettings.of_folder(out, is_distilled=pair.cloud.is_distilled)
    start = record.settings if record.settings and not (out / "card.json").is_file() else old
    return replace(start, **given)


def _tell_needs(pair: "ModelPair", out: Path, precision: str | None, graphs: int) -> None:
    module = _load("cloud_service.export.needs")
    needs = module.estimate(pair, out, precision, graphs)
    Console(stderr=True).print(f"This needs {needs}.")
    module.require_disk(out, needs)


def _export(
    pair: "ModelPair",
    out: Path,
    precision: str | None,
    kinds: frozenset[str],
    settings: CardSettings,
) -> "dict[str, ExportedGraph]":
    bundle = _load("cloud_service.export.bundle")
    console = Console(stderr=True)
    with console.status("putting the weights together") as status:

        def report(part: str, graph: "ExportedGraph | None") -> None:
            if graph is None:
                status.update(f"exporting {part}")
            else:
                console.print(f"{part}: done, {graph.export_s:.0f} s")

        exported: dict[str, ExportedGraph] = bundle.export_bundle(
            pair, out, precision, kinds, settings, report
        )
    return exported


def _write_repository(
    bundle: Path, repository: Path, runtime: str, candidates: tuple[int, ...]
) -> None:
    card = ModelCard.load(bundle)
    for kind in STEP_KINDS.keys() - {kind.name for kind in card.step_kinds}:
        shutil.rmtree(repository / kind, ignore_errors=True)  # of an export with more profiles
    if runtime == "tensorrt":
        _load("cloud_service.export.tensorrt").write_tensorrt(bundle, repository, candidates)
        return
    _load("cloud_service.model_repository").write_repository(repository, bundle, card)


def _quieten() -> None:
    # torch notes that torchvision is absent; transformers and diffusers draw bars of their own.
    _load("transformers").logging.disable_progress_bar()
    _load("diffusers").logging.set_verbosity_error()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # after torch, which sets it itself


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

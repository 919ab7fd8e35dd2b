"""What precision and session options cost the device's UNet, and what they do to its pictures.

Times are those of one pass with guidance (two samples), all rows of the table in turn, repeated;
CPU time and the least time are what to compare on a machine that does other things as well. The
pictures are made by the device alone: that is the most that a precision can spoil.
"""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import onnxruntime as ort
import typer
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from rich.console import Console
from rich.table import Table

from cloud_service.export.tensorrt_graph import SharedWeights, write_half_graph
from demo_models.captions import caption
from demo_models.portrait import sample_portrait
from device_client.bundle import Bundle, open_bundle
from device_client.private_side.image_decoder import ImageDecoder
from device_client.private_side.text_encoder import TextEncoder
from obclip.guidance import guide
from obclip.noise import initial_latents
from obclip.solver import DpmSolver, SolverState

Array = NDArray[np.float32]
Feeds = Mapping[str, Array]
Configure = Callable[[ort.SessionOptions], None]

_BATCH: Final = 2
_LOADS: Final = 4
_COLUMNS: Final = ("MiB", "load", "least", "median", "CPU", "PSNR dB", "largest")


@dataclass(frozen=True)
class Row:
    """One graph under one set of session options.

    Attributes:
        name: of the row.
        graph: the ONNX file.
        threads: of one operator.
        configure: changes the session options.
        binds: whether inputs and outputs are bound instead of given with the call.
        spins: whether idle threads spin.
    """

    name: str
    graph: Path
    threads: int
    configure: Configure = lambda _options: None
    binds: bool = False
    spins: bool = False


@dataclass(frozen=True)
class Figures:
    """What was measured of a row.

    Attributes:
        size_mib: of the graph and its weights.
        load_ms: CPU time of opening the session, median.
        least_ms: of one pass.
        median_ms: of one pass.
        cpu_ms: CPU time of one pass, all threads, median.
        psnr_db: of the pictures against the first row's; None for the first row itself.
        largest: difference of one channel of one pixel, 0..255.
    """

    size_mib: float
    load_ms: float
    least_ms: float
    median_ms: float
    cpu_ms: float
    psnr_db: float | None
    largest: int


class Model:
    """An open row."""

    def __init__(self, row: Row) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = row.threads, 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(row.spins)))
        row.configure(options)
        self._session = ort.InferenceSession(
            str(row.graph), options, providers=["CPUExecutionProvider"]
        )
        self._binds = row.binds

    def run(self, feeds: Feeds) -> Array:
        """One pass."""
        if not self._binds:
            return np.asarray(self._session.run(None, dict(feeds))[0])
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        binding.bind_output("model_output")
        self._session.run_with_iobinding(binding)
        return np.asarray(binding.copy_outputs_to_cpu()[0])


def write_graphs(unet: Path, folder: Path) -> dict[str, Path]:
    """The device's UNet as it is shipped, and in every other precision.

    Args:
        unet: its folder in the bundle.
        folder: where the others go.

    Returns:
        Name -> ONNX file, the shipped one first.
    """
    shipped = unet / "model.onnx"
    names = ("fp32 weights", "fp16 throughout", "int8 MatMul", "int8 all")
    made = {name: folder / name.replace(" ", "_") / "model.onnx" for name in names}
    for path in made.values():
        path.parent.mkdir(parents=True)
    full = made["fp32 weights"]
    save_optimised(shipped, full, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC)
    half = made["fp16 throughout"]
    write_half_graph(shipped, half, SharedWeights(half.with_name("weights.bin")), {})
    for name, kinds in (("int8 MatMul", ["MatMul", "Gemm"]), ("int8 all", None)):
        quantize_dynamic(
            full, made[name], op_types_to_quantize=kinds, per_channel=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
    return {"fp16 weights (shipped)": shipped, **made}


def save_optimised(source: Path, target: Path, level: Any) -> None:
    """Write the graph as ONNX Runtime optimises it, its weights in the file."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def session_rows(shipped: Path, folder: Path) -> list[Row]:
    """The shipped graph under other session options than those of the device."""
    saved = folder / "saved" / "model.onnx"
    saved.parent.mkdir()
    save_optimised(shipped, saved, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    return [
        Row("1 thread", shipped, 1),
        Row("4 threads", shipped, 4),
        Row("batch fixed at 2", shipped, 2, _fix_batch),
        Row("bound inputs and outputs", shipped, 2, binds=True),
        Row("no memory pattern", shipped, 2, _forget_pattern),
        Row("saved as optimised", saved, 2, _as_it_is),
        Row("spinning threads", shipped, 2, spins=True),
    ]


def _fix_batch(options: ort.SessionOptions) -> None:
    options.add_free_dimension_override_by_name("batch", _BATCH)


def _forget_pattern(options: ort.SessionOptions) -> None:
    options.enable_mem_pattern = False


def _as_it_is(options: ort.SessionOptions) -> None:
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


class Pictures:
    """Makes the same pictures with any UNet of the family."""

    def __init__(self, bundle: Bundle, count: int, threads: int) -> None:
        folder = bundle.folder
        self._bundle = bundle
        self._decoder = ImageDecoder(folder / "vae" / "decoder.onnx", threads)
        encoder = TextEncoder(folder / "text_encoder" / "model.onnx", bundle.tokenizer, threads)
        random = np.random.default_rng(5)
        captions = [caption(sample_portrait(random), random) for _ in range(count)]
        self._texts = [encoder.encode(("", words)) for words in captions]

    def feeds(self) -> Feeds:
        """One pass of the first picture."""
        latents = initial_latents(0, 1, self._bundle.card.latents.shape)
        return _feeds(latents, 999.0, self._texts[0])

    def make(self, model: Model) -> NDArray[np.uint8]:
        """All pictures, (count, H, W, 3)."""
        made = [self._one(model, seed, text) for seed, text in enumerate(self._texts)]
        return np.concatenate(made)

    def _one(self, model: Model, seed: int, text: Array) -> NDArray[np.uint8]:
        card = self._bundle.card
        solver = DpmSolver(card.schedule, card.defaults.steps)
        state = SolverState(initial_latents(seed, 1, card.latents.shape))
        for step in range(card.defaults.steps):
            output = model.run(_feeds(state.latents, float(solver.timesteps[step]), text))
            guided = guide(output[:1], output[1:], card.defaults.guidance_scale)
            state = solver.step(state, guided, step)
        return self._decoder.decode(state.latents)


def _feeds(latents: Array, timestep: float, text: Array) -> Feeds:
    return {
        "latents": np.repeat(latents, _BATCH, axis=0),
        "timestep": np.full(_BATCH, timestep, np.float32),
        "encoder_hidden_states": text,
    }


@dataclass(frozen=True)
class Clock:
    """Seconds of one run.

    Attributes:
        wall: on the wall.
        cpu: of all threads of this process.
    """

    wall: float
    cpu: float

    @classmethod
    def of(cls, work: Callable[[], object]) -> Clock:
        """Times one run."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - wall, time.process_time() - cpu)


def measure(rows: list[Row], pictures: Pictures, rounds: int) -> dict[str, Figures]:
    """Measure all rows in turn, `rounds` times; pictures once."""
    feeds = pictures.feeds()
    loads = {row.name: [Clock.of(partial(Model, row)) for _ in range(_LOADS)] for row in rows}
    models = {row.name: Model(row) for row in rows}
    passes: dict[str, list[Clock]] = {name: [] for name in models}
    # Apart: a thread that spins goes on doing so into what is timed next.
    for spins in (False, True):
        names = [row.name for row in rows if row.spins is spins]
        for turn in range(rounds + 1):
            for name in names:
                taken = Clock.of(partial(models[name].run, feeds))
                passes[name] += [taken] if turn else []  # the first run allocates
    images = {name: pictures.make(model) for name, model in models.items()}
    reference = images[rows[0].name]
    return {
        row.name: _figures(row, loads[row.name], passes[row.name], images[row.name], reference)
        for row in rows
    }


def _figures(
    row: Row,
    loads: list[Clock],
    passes: list[Clock],
    images: NDArray[np.uint8],
    reference: NDArray[np.uint8],
) -> Figures:
    difference = np.abs(images.astype(np.int16) - reference)
    mean_square = float(np.mean(np.square(difference.astype(np.float64))))
    files = [path for path in row.graph.parent.iterdir() if path.suffix != ".json"]
    return Figures(
        size_mib=sum(path.stat().st_size for path in files) / 2**20,
        load_ms=1e3 * median([load.cpu for load in loads]),
        least_ms=1e3 * min(taken.wall for taken in passes),
        median_ms=1e3 * median([taken.wall for taken in passes]),
        cpu_ms=1e3 * median([taken.cpu for taken in passes]),
        psnr_db=10 * float(np.log10(255**2 / mean_square)) if mean_square else None,
        largest=int(difference.max()),
    )


def main(
    rounds: Annotated[int, typer.Option(help="Timed passes of each row.")] = 100,
    prompts: Annotated[int, typer.Option(help="Pictures of each row.")] = 8,
    out: Annotated[Path | None, typer.Option("--json", help="Also write JSON.")] = None,
) -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)  # the quantiser's advice
    bundle = open_bundle()
    pictures = Pictures(bundle, prompts, 2)
    with TemporaryDirectory() as folder:
        unet = Path(shutil.copytree(bundle.folder / "device_unet", Path(folder) / "shipped"))
        graphs = write_graphs(unet, Path(folder))
        rows = [Row(name, path, 2) for name, path in graphs.items()]
        rows += session_rows(unet / "model.onnx", Path(folder))
        figures = measure(rows, pictures, rounds)
    _print(figures)
    if out is not None:
        facts = {name: asdict(value) for name, value in figures.items()}
        out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _print(figures: Mapping[str, Figures]) -> None:
    machine = f"{platform.machine()}, onnxruntime {ort.__version__}, numpy {np.__version__}"
    table = Table("graph or session", *_COLUMNS, title=f"Device UNet, ms; {machine}")
    for name, f in figures.items():
        psnr = "same" if f.psnr_db is None else f"{f.psnr_db:.1f}"
        numbers = (f.size_mib, f.load_ms, f.least_ms, f.median_ms, f.cpu_ms)
        table.add_row(name, *(f"{n:.1f}" for n in numbers), psnr, str(f.largest))
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)

"""Quality of the demo family on combinations it never trained on: cloud, device and hybrid.

Each prompt states its attributes; the family's classifier says whether the picture has them.
`renders` and `reconstructions` are the ceilings: the renderer's own pictures, and those after the
autoencoder.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.portrait_judge import PortraitJudge, Verdict, accuracies, frechet_distance
from benchmarks.sampling import Run, Sampler
from demo_models.captions import caption
from demo_models.portrait import Portrait, sample_portrait
from demo_models.renderer import render

BUNDLE: Final = Path("demo_models/weights")
REFERENCE_SEED: Final = 77
COLUMNS: Final = (
    "gender", "age", "ethnicity", "glasses", "glasses_recall", "hat", "background", "expression",
    "all", "frechet",
)  # fmt: skip


def held_out(seed: int, count: int) -> tuple[list[Portrait], list[str]]:
    """Returns portraits whose combinations were never trained on, and a full caption of each."""
    rng = np.random.default_rng(seed)
    portraits = [sample_portrait(rng, held_out=True) for _ in range(count)]
    return portraits, [caption(portrait, rng, complete=True) for portrait in portraits]


def _reconstruct(bundle: Path, images_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    encoder = onnxruntime.InferenceSession(
        bundle / "vae" / "encoder.onnx", providers=["CPUExecutionProvider"]
    )
    decoder = onnxruntime.InferenceSession(
        bundle / "vae" / "decoder.onnx", providers=["CPUExecutionProvider"]
    )
    rebuilt = []
    for image in images_u8:
        inputs = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
        (latents,) = encoder.run(None, {"images": inputs})
        (output,) = decoder.run(None, {"latents": latents})
        rebuilt.append((output[0].transpose(1, 2, 0) * 255).round().astype(np.uint8))
    return np.stack(rebuilt)


def measure(bundle: Path, count: int, seed: int, guidance: float | None) -> dict[str, Any]:
    """Makes the pictures of every method and judges them.

    Args:
        bundle: the family's folder.
        count: prompts.
        seed: of the prompts; the noise of prompt i has seed `seed * 100000 + i`.
        guidance: scale; None is the card's.
    """
    sampler, judge = Sampler(bundle), PortraitJudge(bundle)
    steps = sampler.card.defaults.steps
    scale = sampler.card.defaults.guidance_scale if guidance is None else guidance
    portraits, prompts = held_out(seed, count)
    seeds = [seed * 100_000 + i for i in range(count)]
    renders = np.stack([render(portrait) for portrait in portraits])
    pictures = {"renders": renders, "reconstructions": _reconstruct(bundle, renders)}
    switch_points = {"cloud_only": steps, "hybrid_k10": 10, "hybrid_k5": 5, "device_only": 0}
    for name, k in track(switch_points.items(), "sampling", console=Console(stderr=True)):
        pictures[name] = sampler.pictures(prompts, seeds, Run(steps, k, scale))
    reference = judge.judge(_reference_renders(count)).features
    rows = {n: _row(judge.judge(images), portraits, reference) for n, images in pictures.items()}
    setting = {"prompts": count, "seed": seed, "guidance_scale": scale, "steps": steps}
    return {**rows, "setting": setting, "machine": machine()}


def _row(verdict: Verdict, portraits: list[Portrait], reference: NDArray[np.float32]) -> Any:
    distance = frechet_distance(verdict.features, reference)
    return accuracies(verdict, portraits) | {"frechet": distance}


def _reference_renders(count: int) -> NDArray[np.uint8]:
    """Other held-out portraits: the distance of `renders` to them is the floor at this count."""
    rng = np.random.default_rng(REFERENCE_SEED)
    return np.stack([render(sample_portrait(rng, held_out=True)) for _ in range(max(count, 1000))])


def machine() -> dict[str, str]:
    """Returns what ran the measurement."""
    return {
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def table(figures: dict[str, Any]) -> Table:
    """Returns the figures as a table, accuracies in per cent."""
    out = Table("method", *COLUMNS)
    for name, row in figures.items():
        if name not in {"setting", "machine"}:
            shares = [f"{100 * row[c]:.1f}" for c in COLUMNS[:-1]]
            out.add_row(name, *shares, f"{row['frechet']:.3g}")
    return out


def main(
    prompts: Annotated[int, typer.Option(help="Prompts, all of held-out combinations.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of prompts and noise.")] = 1,
    guidance: Annotated[float | None, typer.Option(help="Scale; default: the card's.")] = None,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = BUNDLE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Measure the quality of the demo family."""
    figures = measure(bundle, prompts, seed, guidance)
    Console().print(table(figures))
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)

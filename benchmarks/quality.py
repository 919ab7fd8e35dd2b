"""Quality of the demo family on combinations it never trained on: cloud, device and hybrid.

Each prompt states its attributes; the family's classifier says whether the picture has them.
`renders` and `reconstructions` are the ceilings: the renderer's own pictures, and those after the
autoencoder. `sharpness` sees what a classifier overlooks: soft edges; `drawing_error`, whatever is
not as the renderer draws it, for a caption and a light have one drawing. In the rows "unguided" the
device's steps have no guidance, which halves their cost; their differences to the same row with
guidance are paired, prompt by prompt.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.fairness import mean_interval
from benchmarks.machine import machine
from benchmarks.portrait_judge import (
    FrechetDistance,
    PortraitJudge,
    Verdict,
    accuracies,
    all_right,
)
from benchmarks.sampling import Run, Sampler
from demo_models.captions import caption
from demo_models.portrait import Portrait, sample_portrait
from demo_models.renderer import render
from device_client.bundle import open_bundle
from device_client.private_side.choice import Choice
from device_client.private_side.denoiser import DeviceShare
from device_client.private_side.device_models import DeviceModels
from obclip.noise import initial_latents
from obclip.solver import SolverState

BUNDLE: Final = Path("demo_models/weights")
REFERENCE_SEED: Final = 77
UNGUIDED: Final = "_unguided"
LIGHTS: Final = 9
COLUMNS: Final = (
    "gender", "age", "ethnicity", "glasses", "glasses_recall", "hat", "background", "expression",
    "all",
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


def sharpness(images_u8: NDArray[np.uint8]) -> float:
    """The mean step between neighbouring pixels, 0..1, every step counted by its own size.

    An edge from black to white has 1, the same edge spread over four pixels 0.25.

    Args:
        images_u8: (B, H, W, 3).
    """
    pixels = images_u8.astype(np.float32) / 255
    steps = [np.abs(np.diff(pixels, axis=axis)).astype(np.float64) for axis in (1, 2)]
    return float(sum(np.sum(s**2) for s in steps) / sum(np.sum(s) for s in steps))


def drawings(portraits: list[Portrait]) -> NDArray[np.uint8]:
    """Returns each portrait in the lights that a seed decides on, (portraits, LIGHTS, H, W, 3)."""
    lights = np.linspace(-1, 1, LIGHTS).tolist()
    return np.stack([[render(replace(p, light=light)) for light in lights] for p in portraits])


def drawing_error(images_u8: NDArray[np.uint8], drawn_u8: NDArray[np.uint8]) -> float:
    """The mean absolute difference of pictures to the nearest of their drawings, 0..255.

    Args:
        images_u8: (B, H, W, 3).
        drawn_u8: (B, LIGHTS, H, W, 3), what `drawings` returns.
    """
    errors = [
        np.abs(drawn.astype(np.int16) - image).mean(axis=(1, 2, 3)).min()
        for image, drawn in zip(images_u8, drawn_u8, strict=True)
    ]
    return float(np.mean(errors))


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        bundle: the family's folder.
        count: prompts.
        seed: of the prompts; the noise of prompt i has seed `seed * 100000 + i`.
        guidance: scale; None is the card's.
        rounds: of timed pictures.
        threads: of ONNX Runtime.
    """

    bundle: Path
    count: int
    seed: int
    guidance: float | None
    rounds: int
    threads: int

    @property
    def seeds(self) -> list[int]:
        """Of the noise of each prompt."""
        return [self.seed * 100_000 + i for i in range(self.count)]


def runs(steps: int, scale: float) -> dict[str, Run]:
    """The ways to make a picture, by name."""
    found = {"cloud_only": Run(steps, steps, scale)}
    for name, k in (("hybrid_k10", 10), ("hybrid_k5", 5), ("device_only", 0)):
        found[name] = Run(steps, k, scale)
        found[name + UNGUIDED] = Run(steps, k, scale, device_guidance_scale=1.0)
    return found


def measure(setting: Setting) -> dict[str, Any]:
    """Makes the pictures of every method, judges them, and times the device."""
    sampler, judge = Sampler(setting.bundle, setting.threads), PortraitJudge(setting.bundle)
    defaults = sampler.card.defaults
    scale = defaults.guidance_scale if setting.guidance is None else setting.guidance
    ways = runs(defaults.steps, scale)
    device_s = time_device(setting, ways, sampler)
    portraits, prompts = held_out(setting.seed, setting.count)
    renders = np.stack([render(portrait) for portrait in portraits])
    drawn = drawings(portraits)
    pictures = {"renders": renders, "reconstructions": _reconstruct(setting.bundle, renders)}
    for name, run in track(ways.items(), "sampling", console=Console(stderr=True)):
        pictures[name] = sampler.pictures(prompts, setting.seeds, run)
    reference = FrechetDistance(judge.judge(_reference_renders(setting.count)).features)
    verdicts = {name: judge.judge(images) for name, images in pictures.items()}
    rows: dict[str, Any] = {}
    for name, verdict in verdicts.items():
        looks = {"frechet": reference.to(verdict.features), "sharpness": sharpness(pictures[name])}
        looks["drawing_error"] = drawing_error(pictures[name], drawn)
        rows[name] = accuracies(verdict, portraits) | looks | device_s.get(name, {})
        if name.endswith(UNGUIDED):
            guided = verdicts[name.removesuffix(UNGUIDED)]
            rows[name] |= _over(guided, verdict, portraits, reference)
    facts = {"prompts": setting.count, "seed": setting.seed, "guidance_scale": scale}
    facts |= {"steps": defaults.steps, "rounds": setting.rounds, "threads": setting.threads}
    return {**rows, "setting": facts, "machine": machine()}


def _over(
    guided: Verdict, unguided: Verdict, portraits: list[Portrait], reference: FrechetDistance
) -> dict[str, Any]:
    """What is gained without guidance, with 95 % intervals over the prompts."""
    rng = np.random.default_rng(0)
    right = [all_right(verdict, portraits).astype(np.float64) for verdict in (unguided, guided)]
    pairs = (unguided.features[:, None], guided.features[:, None])
    return {
        "all_over_guided": mean_interval(right[0] - right[1], rng),
        "frechet_over_guided": reference.difference(*pairs, rng),
    }


def time_device(
    setting: Setting, ways: dict[str, Run], sampler: Sampler
) -> dict[str, dict[str, float]]:
    """Seconds of the private side for one picture, all ways in turn; the first round warms up."""
    models = DeviceModels(open_bundle(setting.bundle), setting.threads)
    noise = initial_latents(setting.seed, 1, sampler.card.latents.shape)
    state, choice = SolverState(noise, noise), Choice(0, held_out(setting.seed, 1)[1][0])
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(setting.rounds + 1):
        for name, run in ways.items():
            share = DeviceShare(run.steps, run.switch_point, run.scale(run.steps))
            begin = time.perf_counter()
            models.finish(state, choice, "", share, lambda _done, _total: None)
            found[name] += [time.perf_counter() - begin] if turn else []
    return {
        name: {"device_s": float(np.median(s)), "device_s_spread": float(np.ptp(s))}
        for name, s in found.items()
    }


def _reference_renders(count: int) -> NDArray[np.uint8]:
    """Other held-out portraits: the distance of `renders` to them is the floor at this count."""
    rng = np.random.default_rng(REFERENCE_SEED)
    return np.stack([render(sample_portrait(rng, held_out=True)) for _ in range(max(count, 1000))])


def table(figures: dict[str, Any]) -> Table:
    """Returns the figures as a table, accuracies in per cent."""
    looks = ("frechet", "sharpness", "drawing_error")
    out = Table("method", *COLUMNS, *looks, "device_s", "all, unguided - guided", "frechet, same")
    for name, row in figures.items():
        if name not in {"setting", "machine"}:
            shares = [f"{100 * row[c]:.1f}" for c in COLUMNS]
            scores = [f"{row[c]:.3g}" for c in looks]
            seconds = f"{row['device_s']:.3f}" if "device_s" in row else "-"
            gains = [_gain(row.get("all_over_guided"), 100), _gain(row.get("frechet_over_guided"))]
            out.add_row(name, *shares, *scores, seconds, *gains)
    return out


def _gain(interval: tuple[float, float, float] | None, times: float = 1) -> str:
    if interval is None:
        return "-"
    mean, low, high = (times * value for value in interval)
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    prompts: Annotated[int, typer.Option(help="Prompts, all of held-out combinations.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of prompts and noise.")] = 1,
    guidance: Annotated[float | None, typer.Option(help="Scale; default: the card's.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of timed pictures.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="Of ONNX Runtime.")] = 2,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = BUNDLE,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Measure the quality of the demo family."""
    figures = measure(Setting(bundle, prompts, seed, guidance, rounds, threads))
    Console(width=max(190, Console().width)).print(table(figures))
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)

"""Every step of the recipe as a command; `all` runs them in order and skips what is done."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import torch
import typer

from demo_models.training.autoencoder import AutoencoderTask, encode_dataset
from demo_models.training.classifier import ClassifierTask
from demo_models.training.dataset import render_dataset
from demo_models.training.denoiser import CloudUnetTask, DeviceUnetTask, Inputs
from demo_models.training.loop import Schedule, Task, train
from demo_models.training.publish import publish_family
from demo_models.training.text_encoder import TextEncoderTask

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Work = Annotated[Path, typer.Option(help="Folder of data, checkpoints, logs and sample sheets.")]
Steps = Annotated[int, typer.Option(help="Optimizer steps in all.")]
Processes = Annotated[int, typer.Option(help="Data-parallel processes; they share a batch.")]

DEFAULT_WORK: Final = Path("build/training")
CORES: Final = len(os.sched_getaffinity(0))
PROCESSES: Final = max(n for n in (1, 2, 4, 8, 16) if n <= CORES)
"""One per core is fastest on a CPU; each of these shares any batch of the recipe out evenly."""


def _finished(folder: Path) -> Path:
    return folder / "network.pt"


def _train(make: Callable[[], Task], schedule: Schedule, folder: Path, processes: int) -> None:
    if _finished(folder).exists():
        typer.echo(f"{folder} is trained; remove {_finished(folder)} to go on training")
        return
    train(make, schedule, folder, processes)


@app.command()
def dataset(work: Work = DEFAULT_WORK, count: int = 48_000, held_out: int = 2_000) -> None:
    """Render the portraits: training combinations, and held-out ones for measuring."""
    render_dataset(work / "dataset", count)
    render_dataset(work / "held-out", held_out, held_out=True)


@app.command()
def classifier(
    work: Work = DEFAULT_WORK, steps: Steps = 1500, processes: Processes = PROCESSES
) -> None:
    """Train the attribute classifier."""
    make = functools.partial(ClassifierTask, work / "dataset", work / "held-out")
    _train(make, Schedule(steps, 64, 1e-3), work / "classifier", processes)


@app.command()
def autoencoder(
    work: Work = DEFAULT_WORK, steps: Steps = 12_000, processes: Processes = PROCESSES
) -> None:
    """Train the autoencoder (needs: classifier), then encode the data set."""
    weights, latents = _finished(work / "autoencoder"), work / "dataset" / "latents.npy"
    judge = _finished(work / "classifier")
    make = functools.partial(AutoencoderTask, work / "dataset", work / "held-out", judge)
    _train(make, Schedule(steps, 16, 1e-3, warmup_steps=50), work / "autoencoder", processes)
    torch.set_num_threads(CORES)
    if not latents.exists() or latents.stat().st_mtime < weights.stat().st_mtime:
        encode_dataset(work / "dataset", weights)


@app.command()
def text_encoder(
    work: Work = DEFAULT_WORK, steps: Steps = 500, processes: Processes = PROCESSES
) -> None:
    """Train the text encoder."""
    make = functools.partial(TextEncoderTask, work / "dataset", work / "held-out")
    _train(make, Schedule(steps, 128, 1e-3), work / "text_encoder", processes)


def _inputs(work: Path) -> Inputs:
    networks = (_finished(work / name) for name in ("text_encoder", "autoencoder"))
    return Inputs(work / "dataset", work / "held-out", *networks)


@app.command()
def cloud_unet(
    work: Work = DEFAULT_WORK, steps: Steps = 6500, processes: Processes = PROCESSES
) -> None:
    """Train the cloud UNet (needs: autoencoder, text-encoder)."""
    make = functools.partial(CloudUnetTask, _inputs(work))
    _train(make, Schedule(steps, 96, 1e-3, ema_decay=0.998), work / "cloud_unet", processes)


@app.command()
def device_unet(
    work: Work = DEFAULT_WORK, steps: Steps = 4800, processes: Processes = PROCESSES
) -> None:
    """Distil the device UNet (needs: cloud-unet)."""
    make = functools.partial(DeviceUnetTask, _inputs(work), _finished(work / "cloud_unet"))
    _train(make, Schedule(steps, 32, 1e-3), work / "device_unet", processes)


@app.command()
def publish(
    work: Work = DEFAULT_WORK,
    out: Annotated[Path, typer.Option(help="The diffusers folder.")] = Path("demo_models/weights"),
) -> None:
    """Write the family as a diffusers folder in fp16; `make models` adds the graphs."""
    publish_family(work, out)


@app.command(name="all")
def run_all(work: Work = DEFAULT_WORK, processes: Processes = PROCESSES) -> None:
    """Run every step; interrupt and repeat at will."""
    dataset(work)
    text_encoder(work, processes=processes)
    classifier(work, processes=processes)
    autoencoder(work, processes=processes)
    cloud_unet(work, processes=processes)
    device_unet(work, processes=processes)
    publish(work)


if __name__ == "__main__":
    app()

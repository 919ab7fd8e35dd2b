"""The training loop that all networks share.

Mixed precision, data-parallel processes, averaged weights, resumable checkpoints.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import spawn

LOG_EVERY: Final = 20
CHECKPOINT_EVERY: Final = 100


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: Optimizer steps in all; may be changed when a run is resumed.
        batch_size: Images per step, over all processes.
        learning_rate: After the warm-up of `warmup_steps`.
        decay_fraction: The rate falls linearly to zero over this last share of the steps.
        ema_decay: Of the averaged weights, which are the result.
        seed: Of weights and batches.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 100
    decay_fraction: float = 0.3
    ema_decay: float = 0.998
    seed: int = 0

    def rate(self, step: int) -> float:
        """Returns the learning rate of a step in 0..steps-1."""
        left = (self.steps - step) / (self.decay_fraction * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps, left)


class Task(Protocol):
    """What is trained: a network and its loss."""

    network: nn.Module

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the loss of a fresh batch of `count` images, and figures for the log."""

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes a sample sheet or figures of the averaged network."""


class MasterWeights:
    """float32 masters and their running average behind a network that computes in bfloat16.

    Matrices and convolutions (as matrices of one row per output channel) are updated by Muon
    (https://kellerjordan.github.io/posts/muon), which needs far fewer steps than AdamW on these
    networks; biases, norms and embeddings by AdamW.
    """

    def __init__(self, network: nn.Module, schedule: Schedule) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.masters = [_as_matrix(p.detach().clone().float()) for p in self.parameters]
        self.average = [m.clone() for m in self.masters]
        self.schedule = schedule
        tables = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
        pairs = list(zip(self.parameters, self.masters, strict=True))
        matrices = [m for p, m in pairs if m.ndim == 2 and id(p) not in tables]
        others = [m for p, m in pairs if m.ndim != 2 or id(p) in tables]
        rate = schedule.learning_rate
        self.optimizers = (
            torch.optim.Muon(matrices, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        )

    def update(self, step: int) -> float:
        """Averages the gradients over the processes, takes a step and returns their norm."""
        flat = torch.cat([_gradient(p).reshape(-1).float() for p in self.parameters])
        if dist.is_initialized():
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
        norm = float(flat.norm())
        flat *= min(1.0, 1.0 / (norm + 1e-6))
        for master, gradient in zip(
            self.masters, flat.split([m.numel() for m in self.masters]), strict=True
        ):
            master.grad = gradient.view_as(master)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.schedule.rate(step)
            optimizer.step()
        decay = min(self.schedule.ema_decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, self.masters, 1 - decay)
        self.write(self.masters)
        return norm

    @torch.no_grad()
    def write(self, values: list[torch.Tensor]) -> None:
        """Copies values into the network and clears its gradients."""
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value.view_as(parameter))
            parameter.grad = None

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint holds."""
        return {
            "masters": self.masters,
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` returned."""
        for ours, theirs in ((self.masters, state["masters"]), (self.average, state["average"])):
            for tensor, value in zip(ours, theirs, strict=True):
                tensor.copy_(value)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.write(self.masters)


def _as_matrix(weights: torch.Tensor) -> torch.Tensor:
    return weights.contiguous().flatten(1) if weights.ndim > 2 else weights


def _gradient(parameter: nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def train(make_task: Callable[[], Task], schedule: Schedule, folder: Path, processes: int) -> None:
    """Trains until `schedule.steps`, resuming from the folder's checkpoint when there is one.

    Args:
        make_task: Builds the task; called once in every process, so it must be picklable.
        schedule: Steps, batch and rates.
        folder: Gets checkpoint.pt, log.jsonl, samples and at the end network.pt (averaged weights).
        processes: Data-parallel processes of one thread each on a CPU; 1 on a GPU.

    Raises:
        ValueError: the processes cannot share a batch out evenly.
    """
    if schedule.batch_size % processes:
        raise ValueError(
            f"a batch of {schedule.batch_size} images cannot be shared by {processes} processes"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if processes == 1:
        _work(0, make_task, schedule, folder, 1, "")
        return
    with tempfile.TemporaryDirectory() as meeting:
        address = f"file://{meeting}/rendezvous"
        arguments = (make_task, schedule, folder, processes, address)
        spawn(_work, args=arguments, nprocs=processes)


def _work(
    rank: int,
    make_task: Callable[[], Task],
    schedule: Schedule,
    folder: Path,
    processes: int,
    address: str,
) -> None:
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    torch.manual_seed(schedule.seed)
    if processes > 1:
        dist.init_process_group("gloo", init_method=address, rank=rank, world_size=processes)
    try:
        _Run(make_task(), schedule, folder, rank, processes).go()
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


class _Run:
    def __init__(
        self, task: Task, schedule: Schedule, folder: Path, rank: int, processes: int
    ) -> None:
        self.task, self.schedule, self.folder = task, schedule, folder
        self.rank, self.count = rank, schedule.batch_size // processes
        self.weights = MasterWeights(task.network, schedule)
        task.network.to(torch.bfloat16)
        self.step, self.elapsed_s = 0, 0.0
        if self._checkpoint.exists():
            state = torch.load(self._checkpoint, weights_only=True)
            self.weights.restore(state["weights"])
            self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def go(self) -> None:
        started = time.monotonic() - self.elapsed_s
        first, mark = self.step, time.monotonic()
        while self.step < self.schedule.steps:
            rng = np.random.default_rng((self.schedule.seed, self.step, self.rank))
            loss, figures = self.task.loss(rng, self.count)
            loss.backward()
            norm = self.weights.update(self.step)
            self.step += 1
            self.elapsed_s = time.monotonic() - started
            if self.step % LOG_EVERY == 0 and self.rank == 0:
                done = min(LOG_EVERY, self.step - first) * self.schedule.batch_size
                rate, mark = done / (time.monotonic() - mark), time.monotonic()
                figures |= {"norm": norm, "images_per_s": rate}
                self._log({"loss": float(loss.detach())} | figures)
            if self.step % CHECKPOINT_EVERY == 0 or self.step == self.schedule.steps:
                self._save()
        self._finish()

    def _log(self, figures: dict[str, float]) -> None:
        row = {"step": self.step, "elapsed_s": self.elapsed_s, **figures}
        row = {k: v if isinstance(v, int) else round(v, 5) for k, v in row.items()}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        words = "  ".join(f"{k} {v:g}" for k, v in row.items())
        print(f"of {self.schedule.steps}: {words}", flush=True)  # noqa: T201 - the program's progress

    def _save(self) -> None:
        if self.rank != 0:
            return
        state = {"step": self.step, "elapsed_s": self.elapsed_s, "weights": self.weights.state()}
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._checkpoint)
        if self.step % (10 * CHECKPOINT_EVERY) == 0:
            self._sample()

    def _sample(self) -> None:
        self.weights.write(self.weights.average)
        self.task.network.eval()
        with torch.no_grad():
            self.task.sample(self.task.network, self.folder, self.step)
        self.task.network.train()
        self.weights.write(self.weights.masters)

    def _finish(self) -> None:
        if self.rank != 0:
            return
        self._sample()
        self.task.network.float()
        self.weights.write(self.weights.average)
        torch.save(self.task.network.state_dict(), self.folder / "network.pt")

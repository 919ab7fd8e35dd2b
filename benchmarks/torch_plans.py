"""Runs a plan's UNet calls in PyTorch, to time it on an architecture without weights.

Only the calls are made: their rows, step kinds and cached tensors are the plan's, their values are
noise, and the solver between them, which costs next to nothing, is left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from cloud_service.export.graph_modules import Unet
from cloud_service.export.macs import needed_graph
from cloud_service.export.step_kinds import StepKindUnet
from obclip.plan import STEP_KINDS, UNET_REUSE, Plan, Step

TEXT_TOKENS = 77
_TRACED_ROWS = 63  # from 64 on, diffusers copies a tensor once more
Branches = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Place:
    """Where a UNet lies.

    Attributes:
        device: as torch names it, e.g. "cuda".
        dtype: of weights and tensors.
    """

    device: str
    dtype: torch.dtype


def example_inputs(
    model: Unet, kind: str, rows: tuple[int, int], place: Place
) -> dict[str, torch.Tensor]:
    """Noise for a step kind's first three inputs.

    Args:
        model: gives the shapes.
        kind: batch reuse takes sets of rows, the others rows.
        rows: sets, and rows of one set; the others take sets x rows of it.
        place: of the model.
    """
    axes = rows if kind == UNET_REUSE else (rows[0] * rows[1],)
    config = model.model.config
    size = config.sample_size
    return {
        "latents": _noise((*axes, config.in_channels, size, size), place),
        "timestep": torch.full(axes[:1], 500.0, device=place.device, dtype=place.dtype),
        "encoder_hidden_states": _noise((*axes, TEXT_TOKENS, config.cross_attention_dim), place),
    }


def _noise(shape: tuple[int, ...], place: Place) -> torch.Tensor:
    return torch.randn(shape, device=place.device, dtype=place.dtype)


@dataclass(frozen=True)
class Kind:
    """A step kind that computes what its outputs need, as the exported graphs do.

    Attributes:
        model: the UNet.
        module: takes and gives what `StepKindUnet` does, any number of rows.
    """

    model: Unet
    module: torch.nn.Module


def split(model: Unet, place: Place) -> dict[str, Kind]:
    """Every step kind of a UNet; all share its weights."""
    return {kind: Kind(model, _needed(model, kind, place)) for kind in STEP_KINDS}


def _needed(model: Unet, kind: str, place: Place) -> torch.nn.Module:
    """`StepKindUnet`; as a graph if it takes from a cache, whose modules it would run as well."""
    examples = example_inputs(model, kind, (1, 2), place)
    module = StepKindUnet(model, kind, examples)
    if not STEP_KINDS[kind].takes:
        return module
    cached = [_noise((2, *module.cached_shapes[name]), place) for name in STEP_KINDS[kind].takes]
    values = (*examples.values(), *cached)
    rows = torch.export.Dim("rows", min=1, max=_TRACED_ROWS)
    with torch.no_grad():
        return needed_graph(module, values, tuple({0: rows} for _ in values))


class PlanTimer:
    """One plan on one UNet.

    Args:
        kinds: of the UNet, shared by all timers.
        plan: whose calls are made.
        candidates: N.
        place: of the UNet.
    """

    def __init__(
        self, kinds: Mapping[str, Kind], plan: Plan, candidates: int, place: Place
    ) -> None:
        self._kinds, self._plan, self._candidates, self._place = kinds, plan, candidates, place
        self._cached: dict[str, Branches] = {}
        self._inputs = [
            example_inputs(kinds[step.kind].model, step.kind, self._sets(step), place)
            for step in plan.steps
        ]

    def seconds(self, repeats: int) -> float:
        """Median wall seconds of the plan."""
        return self._median(self.run, repeats)

    def graphed_seconds(self, repeats: int, warm_ups: int = 3) -> float:
        """Median wall seconds of the plan as one CUDA graph."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's
        with torch.cuda.stream(stream):
            for _ in range(warm_ups):
                self.run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.run()
        return self._median(graph.replay, repeats)

    def _median(self, call: Callable[[], object], repeats: int) -> float:
        taken = []
        for _ in range(repeats):
            self._wait()
            begin = time.perf_counter()
            call()
            self._wait()
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken)

    def _wait(self) -> None:
        if self._place.device.startswith("cuda"):
            torch.cuda.synchronize()

    @torch.inference_mode()
    def run(self) -> torch.Tensor | None:
        """Makes the plan's calls; gives the last one's output."""
        output = None
        for step, inputs in zip(self._plan.steps, self._inputs, strict=True):
            output = self._call(step, inputs)
        self._cached.clear()
        return output

    def _call(self, step: Step, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        taken = [self._fitted(name, step) for name in step.takes]
        output, *left = self._kinds[step.kind].module(*inputs.values(), *taken)
        for name, tensor in zip(STEP_KINDS[step.kind].leaves, left, strict=True):
            if name in step.leaves:
                rows = tensor.flatten(0, 1) if step.kind == UNET_REUSE else tensor
                count = step.unconditional.of(self._candidates)
                self._cached[name] = rows[:count], rows[count:]
        result: torch.Tensor = output
        return result

    def _fitted(self, name: str, step: Step) -> torch.Tensor:
        """A cached tensor with the rows of a step: a mean where it computes one row."""
        counts = [rows.of(self._candidates) for rows in (step.unconditional, step.conditional)]
        parts = zip(self._cached[name], counts, strict=True)
        return torch.cat([_fit(part, count) for part, count in parts])

    def _sets(self, step: Step) -> tuple[int, int]:
        """Sets of a step's call and their rows; rows of their own where nothing is shared."""
        samples, sets = step.samples(self._candidates), step.sets(self._candidates)
        return sets, samples // sets


def _fit(tensor: torch.Tensor, count: int) -> torch.Tensor:
    if len(tensor) == count:
        return tensor
    if count == 1:
        return tensor.mean(dim=0, keepdim=True)
    return tensor[:0] if count == 0 else tensor.expand(count, *tensor.shape[1:])

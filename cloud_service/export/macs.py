"""Counts the multiply-accumulates of a torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cloud_service.export.parity import batch_of

if TYPE_CHECKING:
    from collections.abc import Mapping

RULE = "convolutions, linear layers and both attention products; no norms, activations or biases"


def count_macs(module: torch.nn.Module, examples: Mapping[str, torch.Tensor]) -> int:
    """Multiply-accumulates of one pass for one sample, by `RULE`.

    Half of what torch's FlopCounterMode counts, without what no output needs: some step kinds
    replace values by cached ones, and what led to those values is not in their graphs. Attention is
    run as plain matrix products for this, since the counter does not know the CPU's fused one.

    Args:
        module: called with the examples' values in their order.
        examples: input name -> (B, ...); the first sample is used.
    """
    values = tuple(batch_of(examples, 1).values())
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        needed = needed_graph(module, values)
        with shapes_only() as fake:
            inputs = [fake.from_tensor(value) for value in values]
            with counter:
                needed(*inputs)
    return int(counter.get_total_flops()) // 2


def count_one_and_two(
    module: torch.nn.Module, examples: Mapping[str, torch.Tensor], batch_axes: int
) -> tuple[int, int]:
    """`count_macs` of one sample and of two; with two batch axes, of a set of so many rows.

    Args:
        module: see `count_macs`.
        examples: input name -> (B, ...), or (S, N, ...) but for a timestep's (S,).
        batch_axes: 1 or 2.
    """
    if batch_axes == 1:
        one = count_macs(module, examples)
        return one, 2 * one
    sets = ({n: x if x.ndim == 1 else x[:, :rows] for n, x in examples.items()} for rows in (1, 2))
    one, two = (count_macs(module, rows) for rows in sets)
    return one, two


def shapes_only() -> FakeTensorMode:
    """A context in which modules compute shapes and no values; inputs go through `from_tensor`."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def needed_graph(
    module: torch.nn.Module, values: tuple[torch.Tensor, ...], dynamic_shapes: Any = None
) -> torch.fx.GraphModule:
    """The module as a graph that computes what its outputs need, and nothing else.

    Args:
        module: traced with the values.
        values: its inputs.
        dynamic_shapes: as `torch.export.export` takes it.
    """
    traced = torch.export.export(module, values, dynamic_shapes=dynamic_shapes).module()
    # Dropout, idle here, and checks of types would count as having effects of their own.
    traced.graph.eliminate_dead_code(lambda node: node.op in {"placeholder", "output"})
    traced.recompile()
    return traced

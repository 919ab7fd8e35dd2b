"""The step kinds of a diffusers UNet, defined by what is taken from a cache instead of computed.

No code of the UNet is edited or repeated: while a pass runs, hooks on its modules record outputs
that the kind leaves and put cached values in the place of outputs that it takes. Whatever led to a
replaced output is dead code, which the exporter drops: so one definition, the UNet itself, gives
the graphs of all kinds.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.attention_processor import Attention

from cloud_service.export.errors import ExportFailed
from cloud_service.export.macs import count_one_and_two, shapes_only
from obclip.plan import ATTENTION_DOWN, ATTENTION_UP, FEATURE, SKIPS, STEP_KINDS, UNET_REUSE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from diffusers import UNet2DConditionModel

    from cloud_service.export.graph_modules import Unet


@dataclass(frozen=True)
class KindMacs:
    """Multiply-accumulates of a step kind.

    Attributes:
        name: the step kind.
        per_sample: of one row.
        per_set: what a set of rows costs beside; not 0 with batch reuse alone.
    """

    name: str
    per_sample: int
    per_set: int

    @classmethod
    def counted(cls, name: str, one: int, two: int) -> KindMacs:
        """From the counts of one row and of two, which share what is done once for a set."""
        return cls(name, two - one, 2 * one - two)


class StepKindUnet(torch.nn.Module):
    """One step kind.

    The inputs of `Unet`, cached tensors (B, ...) -> model_output (B, C, H, W), tensors left
    (B, ...). The kind of batch reuse has (S, N, ...) in the place of (B, ...) everywhere but at the
    timestep and the guidance, (S,).

    Args:
        model: the UNet, in evaluation mode.
        kind: key of `obclip.plan.STEP_KINDS`.
        examples: of the inputs of `Unet`.
    """

    def __init__(self, model: Unet, kind: str, examples: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.model = model
        self.kind = kind
        self._known = STEP_KINDS[kind]
        self._taps = _taps(model.model)
        self._shapes: dict[str, list[torch.Size]] = {}
        with torch.no_grad():
            self._measure(examples)

    @property
    def cached_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor that the kind takes or leaves, without the batch axis.

        The feature keeps its shape; what has many parts is one row of numbers.
        """
        return {
            name: _joined(self._shapes[name]) for name in (*self._known.takes, *self._known.leaves)
        }

    def cached_examples(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Two rows of noise for each tensor that the kind takes."""
        return {
            name: torch.randn((2, *self.cached_shapes[name]), generator=generator)
            for name in self._known.takes
        }

    def count(self, examples: Mapping[str, torch.Tensor]) -> KindMacs:
        """Count by `macs.RULE`.

        Args:
            examples: of all inputs.
        """
        batch_axes = 2 if self.kind == UNET_REUSE else 1
        return KindMacs.counted(self.kind, *count_one_and_two(self, examples, batch_axes))

    def forward(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        fourth: torch.Tensor | None = None,
        fifth: torch.Tensor | None = None,
        sixth: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """One pass; see the class. No kind takes more than two tensors."""
        more = [tensor for tensor in (fourth, fifth, sixth) if tensor is not None]
        own_inputs = 3 + self.model.takes_guidance
        inputs = [latents, timestep, encoder_hidden_states, *more]
        if self.kind != UNET_REUSE:
            return self._rows(inputs[:own_inputs], inputs[own_inputs:])
        sets, candidates = latents.shape[:2]
        unet = self.model.model
        own = unet.attn_processors
        unet.set_attn_processor(PivotAttention(sets, candidates))
        rows = [
            (x[:, None].expand(sets, candidates) if x.ndim == 1 else x).flatten(0, 1)
            for x in inputs
        ]
        outputs = self._rows(rows, [])
        unet.set_attn_processor(own)
        return tuple(output.reshape(sets, candidates, *output.shape[1:]) for output in outputs)

    def _rows(
        self, inputs: list[torch.Tensor], cached: list[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        left: dict[str, list[torch.Tensor]] = {name: [] for name in self._known.leaves}
        taken = {
            name: _parts(tensor, self._shapes[name])
            for name, tensor in zip(self._known.takes, cached, strict=True)
        }
        with self._hooked(left, taken):
            output = self.model(*inputs)
        return output, *(_join(left[name]) for name in self._known.leaves)

    @contextlib.contextmanager
    def _hooked(
        self, left: dict[str, list[torch.Tensor]], taken: dict[str, list[torch.Tensor]]
    ) -> Iterator[None]:
        handles = []
        for name, modules in self._taps.items():
            for index, module in enumerate(modules):
                if name in taken:
                    handles.append(module.register_forward_hook(_replace(taken[name][index])))
                if name in left:
                    handles.append(module.register_forward_hook(_record(left[name])))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _measure(self, examples: Mapping[str, torch.Tensor]) -> None:
        found: dict[str, list[torch.Tensor]] = {name: [] for name in self._taps}
        rows = [x if x.ndim == 1 or self.kind != UNET_REUSE else x[:, 0] for x in examples.values()]
        with shapes_only() as fake, self._hooked(found, {}):
            self.model(*map(fake.from_tensor, rows))
        self._shapes = {name: [part.shape[1:] for part in parts] for name, parts in found.items()}


class PivotAttention:
    """Batch reuse: o_i = softmax(q* k*^T / sqrt(d)) v_i with q*, k* of the first row of each set.

    The values of all rows lie side by side as one wide value, so that fused attention still serves.
    """

    def __init__(self, sets: int, candidates: int) -> None:
        self._sets, self._candidates = sets, candidates

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """One attention layer; diffusers' interface of a processor."""
        if attention_mask is not None or attn.group_norm is not None or attn.residual_connection:
            raise ExportFailed(
                "an attention layer",
                "has a mask, a norm or a residual of its own, and batch reuse knows plain ones",
                "leave the profile paper out: --profiles bare,balanced,fast",
            )
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = self._heads(attn, attn.to_q(self._pivot(hidden_states)), 1)
        key = self._heads(attn, attn.to_k(self._pivot(text)), 1)
        value = self._heads(attn, attn.to_v(text), self._candidates)
        wide = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=attn.scale)
        out: torch.Tensor = attn.to_out[1](attn.to_out[0](self._rows(attn, wide)))
        scaled: torch.Tensor = out / attn.rescale_output_factor
        return scaled

    def _pivot(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.reshape(self._sets, self._candidates, *rows.shape[1:])[:, 0]

    def _heads(self, attn: Attention, rows: torch.Tensor, candidates: int) -> torch.Tensor:
        """(S n, T, heads d) -> (S, heads, T, n d)."""
        tokens, width = rows.shape[1], rows.shape[2] // attn.heads
        split = rows.reshape(self._sets, candidates, tokens, attn.heads, width)
        joined = split.permute(0, 3, 2, 1, 4)
        return joined.reshape(self._sets, attn.heads, tokens, candidates * width)

    def _rows(self, attn: Attention, wide: torch.Tensor) -> torch.Tensor:
        """(S, heads, T, N d) -> (S N, T, heads d)."""
        tokens, width = wide.shape[2], wide.shape[3] // self._candidates
        split = wide.reshape(self._sets, attn.heads, tokens, self._candidates, width)
        rows = split.permute(0, 3, 2, 1, 4)
        return rows.reshape(self._sets * self._candidates, tokens, attn.heads * width)


def _taps(model: UNet2DConditionModel) -> dict[str, list[torch.nn.Module]]:
    """Cached tensor -> the modules whose outputs it joins, in the order in which they run."""
    skips = [model.conv_in]
    for block in model.down_blocks:
        skips += _layers(block)
        skips += list(getattr(block, "downsamplers", None) or [])
    below = [*model.down_blocks]
    if model.mid_block is not None:
        skips.append(model.mid_block)
        below.append(model.mid_block)
    return {
        SKIPS: skips,
        FEATURE: [_layers(model.up_blocks[-1])[-2]],
        ATTENTION_DOWN: [attn for block in below for attn in _attentions(block)],
        ATTENTION_UP: [attn for block in model.up_blocks for attn in _attentions(block)],
    }


def _layers(block: Any) -> list[torch.nn.Module]:
    """The last module of each layer of a block."""
    return list(getattr(block, "attentions", None) or block.resnets)


def _attentions(block: torch.nn.Module) -> list[torch.nn.Module]:
    return [module for module in block.modules() if isinstance(module, Attention)]


def _replace(value: torch.Tensor) -> Any:
    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        return (value, *output[1:]) if isinstance(output, tuple) else value

    return hook


def _record(values: list[torch.Tensor]) -> Any:
    def hook(_module: Any, _inputs: Any, output: Any) -> None:
        values.append(output[0] if isinstance(output, tuple) else output)

    return hook


def _joined(shapes: list[torch.Size]) -> tuple[int, ...]:
    return tuple(shapes[0]) if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def _join(parts: list[torch.Tensor]) -> torch.Tensor:
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _parts(tensor: torch.Tensor, shapes: list[torch.Size]) -> list[torch.Tensor]:
    if len(shapes) == 1:
        return [tensor]
    sizes = [math.prod(shape) for shape in shapes]
    pieces = torch.split(tensor, sizes, dim=1)
    return [piece.reshape(-1, *shape) for piece, shape in zip(pieces, shapes, strict=True)]

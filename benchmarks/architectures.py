"""Step kinds of the paper's architectures, counted on the meta device: no weights, no memory.

Rule: see `cloud_service.export.macs.RULE`; one sample without guidance.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import torch
import typer
from diffusers import UNet2DConditionModel
from rich.console import Console
from rich.table import Table

from cloud_service.export.step_kinds import KindMacs, StepKindUnet
from obclip.card import StepKindCost
from obclip.plan import STEP_KINDS, UNET_FULL, UNET_REUSE, Profile, make_plan, plan_cost

_TEXT_TOKENS: Final = 77
SD_1: Final[dict[str, Any]] = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}


def count(config: dict[str, Any]) -> tuple[StepKindCost, ...]:
    """Counts every step kind of a UNet with random weights.

    Args:
        config: of `UNet2DConditionModel`; what it lacks is Stable Diffusion 1.x's.
    """
    with torch.device("meta"):
        model = UNet2DConditionModel(**config).eval()
        kinds = [_count_kind(model, kind, config) for kind in STEP_KINDS]
    whole = next(kind.per_sample for kind in kinds if kind.name == UNET_FULL)
    return tuple(
        StepKindCost(k.name, k.per_sample / whole, k.per_sample, k.per_set / whole, k.per_set)
        for k in kinds
    )


def _count_kind(model: UNet2DConditionModel, kind: str, config: dict[str, Any]) -> KindMacs:
    size = config["sample_size"]
    rows = (2, 3) if kind == UNET_REUSE else (2,)
    examples = {
        "latents": torch.empty(*rows, model.config.in_channels, size, size),
        "timestep": torch.empty(2),
        "encoder_hidden_states": torch.empty(*rows, _TEXT_TOKENS, config["cross_attention_dim"]),
    }
    module = StepKindUnet(model, kind, examples)
    shapes = module.cached_shapes
    examples |= {name: torch.empty(2, *shapes[name]) for name in STEP_KINDS[kind].takes}
    return module.count(examples)


def main(n: Annotated[int, typer.Option(min=1, help="Candidates.")] = 6) -> None:
    """Print the step kinds of Stable Diffusion 1.x and what every profile costs with them."""
    costs = count(SD_1)
    kinds = Table("step kind", "evals", "GMAC", "GMAC for a set", title="Stable Diffusion 1.x")
    for cost in costs:
        kinds.add_row(
            cost.name,
            f"{cost.evals:.3f}",
            f"{cost.macs / 1e9:.1f}",
            f"{cost.macs_per_set / 1e9:.1f}",
        )
    plans = Table("profile", "k", "evals", "TMAC", "vanilla over it", title=f"N = {n}, 25 steps")
    vanilla = plan_cost(make_plan(25, 25, Profile.BARE), n, costs).macs
    for profile in Profile:
        for k in (5, 10):
            cost = plan_cost(make_plan(25, k, profile), n, costs)
            plans.add_row(
                profile, str(k), f"{cost.evals:.1f}", f"{cost.macs / 1e12:.2f}",
                f"{vanilla / cost.macs:.1f}",
            )  # fmt: skip
    Console().print(kinds)
    Console().print(plans)


if __name__ == "__main__":
    typer.run(main)

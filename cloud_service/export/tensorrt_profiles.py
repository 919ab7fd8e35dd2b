"""Which batches an engine will see, from the plans, and the optimisation profiles made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obclip.plan import Profile, make_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from obclip.plan import Plan

# Sizes of the leading axes of one call: (rows,), or (sets, rows of each) for batch reuse.
Batch = tuple[int, ...]
# Input name -> its smallest, best and largest shape.
ProfileShapes = dict[str, tuple[list[int], list[int], list[int]]]

_STEPS = 25  # plans differ by their switch point, not by the number of steps


def planned_batches(
    kind: str, offered: Collection[str], candidates: Iterable[int], max_rows: int
) -> list[Batch]:
    """Every batch that the plans of a service send to a step kind, small ones first.

    With guidance most steps have 2N rows; one that shares its row without the prompt has N + 1; one
    without guidance has N; a trunk step has 2 or 1.

    Args:
        kind: name of the step kind.
        offered: all step kinds of the bundle; profiles that need others cannot be served.
        candidates: the buckets, N of each.
        max_rows: a call with more is split; see `Step.calls`.
    """
    counts = tuple(candidates)
    batches = {
        batch
        for plan in _plans(offered)
        for step in plan.steps
        if step.kind == kind
        for count in counts
        for batch in step.calls(count, max_rows)
    }
    return sorted(batches)


def optimisation_profiles(
    inputs: Mapping[str, Sequence[int]], axes: int, batches: Sequence[Batch]
) -> list[ProfileShapes]:
    """One static profile for each batch, and a last one that takes any up to the largest.

    A static profile is the fastest; the last one serves what fits none, as a prompt with another
    number of candidates. Triton takes the profile whose best shape is nearest.

    Args:
        inputs: input name -> shape without the leading axes.
        axes: leading axes of a tensor, 2 for batch reuse; a timestep has one of them.
        batches: of `planned_batches`, not empty.
    """
    largest = tuple(max(sizes) for sizes in zip(*batches, strict=True))
    ranges = [(batch, batch, batch) for batch in batches]
    ranges.append(((1,) * axes, batches[-1], largest))
    return [
        {name: _shapes(_leading(shape, axes), shape, bounds) for name, shape in inputs.items()}
        for bounds in ranges
    ]


def _shapes(
    leading: int, shape: Sequence[int], bounds: tuple[Batch, Batch, Batch]
) -> tuple[list[int], list[int], list[int]]:
    smallest, best, largest = ([*batch[:leading], *shape] for batch in bounds)
    return smallest, best, largest


def _leading(shape: Sequence[int], axes: int) -> int:
    """Timestep and guidance have one number for a whole set."""
    return 1 if list(shape) == [1] else axes


def _plans(offered: Collection[str]) -> Iterator[Plan]:
    for profile in (profile for profile in Profile if profile.step_kinds() <= set(offered)):
        for switch_point in range(1, _STEPS):
            plan = make_plan(_STEPS, switch_point, profile)
            yield plan
            yield plan.without_guidance()

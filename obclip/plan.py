"""The plan: what the cloud computes at each of its steps.

It is a pure function of public settings, so both sides can compute it and it can hold no choice:
what is shared is shared by the whole set, and a pivot is the first candidate in canonical order or
the mean of all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from obclip.errors import InvalidRequest
from obclip.v1 import profile_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from obclip.card import StepKindCost

UNET_FULL = "unet_full"
UNET_SHALLOW = "unet_shallow"
UNET_REUSE = "unet_reuse"
UNET_CACHED = "unet_cached"
UNET_UP = "unet_up"
UNET_UP_CACHED = "unet_up_cached"

FEATURE = "feature"
SKIPS = "skips"
ATTENTION_DOWN = "attention_down"
ATTENTION_UP = "attention_up"


@dataclass(frozen=True)
class StepKind:
    """What a step kind takes beside latents, timestep and text, and what it can leave.

    Attributes:
        takes: cached tensors that an earlier step left.
        leaves: cached tensors for later steps.
    """

    takes: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


STEP_KINDS: Mapping[str, StepKind] = MappingProxyType(
    {
        # The whole UNet.
        UNET_FULL: StepKind(leaves=(FEATURE,)),
        # The outermost pair of layers alone, on the deep feature (DeepCache, arXiv 2312.00858).
        UNET_SHALLOW: StepKind(takes=(FEATURE,)),
        # The whole UNet on sets: the attention maps of a set's first row serve all its rows.
        UNET_REUSE: StepKind(leaves=(SKIPS, ATTENTION_DOWN, ATTENTION_UP)),
        # The whole UNet with the outputs of all attention layers given (T-GATE, arXiv 2404.02747).
        UNET_CACHED: StepKind((ATTENTION_DOWN, ATTENTION_UP), (SKIPS,)),
        # The up blocks alone, on skip connections and the mid block's output (arXiv 2312.09608).
        UNET_UP: StepKind((SKIPS,), (ATTENTION_UP,)),
        # Both.
        UNET_UP_CACHED: StepKind((SKIPS, ATTENTION_UP)),
    }
)

# Step kind -> its graph in a bundle.
STEP_KIND_GRAPHS: Mapping[str, str] = MappingProxyType(
    {
        UNET_FULL: "unet/model.onnx",
        UNET_SHALLOW: "unet/shallow.onnx",
        UNET_REUSE: "unet/reuse.onnx",
        UNET_CACHED: "unet/cached.onnx",
        UNET_UP: "unet/up.onnx",
        UNET_UP_CACHED: "unet/up_cached.onnx",
    }
)


class Rows(StrEnum):
    """Rows of one guidance branch (with the prompt, or without) in the calls of a step."""

    EACH = "each"
    """One for each candidate."""

    ONE = "one"
    """One for the whole set: at the mean latent, and at the mean embedding."""

    NONE = "none"
    """The branch is not computed."""

    def of(self, candidates: int) -> int:
        """Rows for a set of `candidates`."""
        return {Rows.EACH: candidates, Rows.ONE: 1, Rows.NONE: 0}[self]


@dataclass(frozen=True)
class Step:
    """One cloud step.

    Attributes:
        index: 0..switch_point-1.
        kind: name of the step kind, which is also that of its Triton model.
        conditional: rows with the candidates' prompts, EACH or ONE.
        unconditional: rows with the negative prompt; NONE is no guidance.
        takes: cached tensors of an earlier step that it reads.
        leaves: cached tensors that a later step reads.
        reuses_maps: whether the rows of a branch share the attention maps of its first row.
    """

    index: int
    kind: str
    conditional: Rows = Rows.EACH
    unconditional: Rows = Rows.EACH
    takes: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    reuses_maps: bool = False

    def samples(self, candidates: int) -> int:
        """UNet samples of the step."""
        return self.conditional.of(candidates) + self.unconditional.of(candidates)

    def sets(self, candidates: int) -> int:
        """Groups of rows that share what the step computes once for a set."""
        if not self.reuses_maps:
            return self.samples(candidates)
        return sum(rows is not Rows.NONE for rows in (self.conditional, self.unconditional))

    def calls(self, candidates: int, max_rows: int) -> Iterator[tuple[int, ...]]:
        """Sizes of the leading axes of each call, rows without the prompt first.

        Args:
            candidates: N.
            max_rows: rows of one call; a set that shares maps is never split.

        Returns:
            (rows,), or (sets, rows of each) for batch reuse: sets in one call have equal sizes.
        """
        branches = [rows.of(candidates) for rows in (self.unconditional, self.conditional)]
        if not self.reuses_maps:
            samples = sum(branches)
            own = (1,) if self.kind == UNET_REUSE else ()
            for start in range(0, samples, max_rows):
                yield (min(max_rows, samples - start), *own)
        elif branches[0] == branches[1]:
            yield (2, branches[0])
        else:
            yield from ((1, count) for count in branches if count)


@dataclass(frozen=True)
class Plan:
    """The cloud's steps in order; empty when the switch point is 0.

    Attributes:
        steps: in order.
    """

    steps: tuple[Step, ...]

    def without_guidance(self) -> Plan:
        """The same plan for a guidance scale that needs no negative prompt."""
        steps = tuple(replace(step, unconditional=Rows.NONE) for step in self.steps)
        return Plan(steps)


def _require(name: str, value: int | None, low: int) -> None:
    if value is not None and value < low:
        raise InvalidRequest(name, f"is {value}", f"choose at least {low}")


@dataclass(frozen=True)
class Switches:
    """Every way to save work, each by itself. The default saves nothing.

    Attributes:
        trunk_steps: first steps that run once for the set, at the mean embedding.
        shared_until: steps t < this share one unconditional row, at the mean latent: its clean
            latents serve all. At step 0, where all latents are still equal, and in and right after
            the trunk that is exact.
        full_every: after the trunk one step in this many is full, the others are shallow.
        reuses_maps: batch reuse, before the cache point.
        cache_point: r >= 1; steps t >= r run on cached attention; None is no cache.
        skip_point: s >= 1; steps t >= s run the up blocks alone; None is no skip.
        refresh: steps after which the attention cache is made anew.
    """

    trunk_steps: int = 0
    shared_until: int = 0
    full_every: int = 1
    reuses_maps: bool = False
    cache_point: int | None = None
    skip_point: int | None = None
    refresh: int = 5

    def __post_init__(self) -> None:
        for name in ("trunk_steps", "shared_until"):
            _require(name, getattr(self, name), 0)
        for name in ("full_every", "refresh", "cache_point", "skip_point"):
            _require(name, getattr(self, name), 1)
        if self.full_every > 1 and self._caches:
            raise InvalidRequest(
                "full_every",
                "cannot be combined with batch reuse, cache point or skip point",
                "choose either",
            )

    @property
    def _caches(self) -> bool:
        return self.reuses_maps or self.cache_point is not None or self.skip_point is not None

    def kind(self, index: int) -> str:
        """The step kind of step `index`."""
        if not self._caches:
            since_branch = index - self.trunk_steps
            is_full = since_branch < 0 or since_branch % self.full_every == 0
            return UNET_FULL if is_full else UNET_SHALLOW
        if self.skip_point is not None and index >= self.skip_point:
            return UNET_UP_CACHED if self._is_cached(index) else UNET_UP
        return UNET_CACHED if self._is_cached(index) else UNET_REUSE

    def _is_cached(self, index: int) -> bool:
        """Whether attention comes from the cache, which is made at r - 1 and at each refresh."""
        r = self.cache_point
        return r is not None and index >= r and (index - r + 1) % self.refresh != 0

    def conditional(self, index: int) -> Rows:
        """Rows with the candidates' prompts at step `index`."""
        return Rows.ONE if index < self.trunk_steps else Rows.EACH

    def unconditional(self, index: int) -> Rows:
        """Rows with the negative prompt at step `index`."""
        is_equal = self.trunk_steps > 0 and index <= self.trunk_steps
        return Rows.ONE if is_equal or index < self.shared_until else Rows.EACH


class Profile(StrEnum):
    """How the cloud saves work; the values are the words of the command line and of `--json`."""

    BARE = "bare"
    PAPER = "paper"
    BALANCED = "balanced"
    FAST = "fast"

    def to_proto(self) -> profile_pb2.AccelerationProfile:
        """The wire's number."""
        return _PROFILES[self]

    @classmethod
    def from_proto(cls, number: int) -> Profile | None:
        """The profile of the wire's number, or None: it is UNSPECIFIED, or of a later release."""
        return next((profile for profile, value in _PROFILES.items() if value == number), None)

    def switches(self, switch_point: int) -> Switches:
        """What the profile switches on for a run whose cloud part ends at `switch_point`."""
        if self is Profile.PAPER:
            return _paper(switch_point)
        return _SWITCHES[self]

    def step_kinds(self) -> frozenset[str]:
        """The step kinds that its plans may need, at any switch point."""
        return frozenset(step.kind for k in range(1, 25) for step in make_plan(25, k, self).steps)


def _paper(switch_point: int) -> Switches:
    """Cache point r and skip point s of the paper: 3, 3 for k = 5 and 4, 6 for k = 10."""
    is_short = switch_point <= 5
    r, s = (3, 3) if is_short else (4, 6)
    return Switches(reuses_maps=True, cache_point=r, skip_point=s, refresh=5)


_PROFILES = {
    Profile.BARE: profile_pb2.ACCELERATION_PROFILE_BARE,
    Profile.PAPER: profile_pb2.ACCELERATION_PROFILE_PAPER,
    Profile.BALANCED: profile_pb2.ACCELERATION_PROFILE_BALANCED,
    Profile.FAST: profile_pb2.ACCELERATION_PROFILE_FAST,
}
_SWITCHES = {
    Profile.BARE: Switches(),
    Profile.BALANCED: Switches(shared_until=3, full_every=2),
    Profile.FAST: Switches(trunk_steps=2, shared_until=5, full_every=4),
}


def make_plan(steps: int, switch_point: int, saving: Profile | Switches) -> Plan:
    """Plan the cloud's part of a run.

    Args:
        steps: T, steps of the whole run.
        switch_point: k in 0..T; the cloud runs steps t < k.
        saving: how to save work.

    Raises:
        InvalidRequest: the switch point is outside 0..steps, or a step takes what none left.
    """
    if not 0 <= switch_point <= steps:
        raise InvalidRequest(
            "switch_point", f"is {switch_point}, outside 0..{steps}", f"choose 0 to {steps}"
        )
    switches = saving.switches(switch_point) if isinstance(saving, Profile) else saving
    planned = [_step(index, switches) for index in range(switch_point)]
    return Plan(tuple(_with_leaves(planned)))


def _step(index: int, switches: Switches) -> Step:
    kind = switches.kind(index)
    return Step(
        index,
        kind,
        switches.conditional(index),
        switches.unconditional(index),
        takes=STEP_KINDS[kind].takes,
        reuses_maps=switches.reuses_maps and kind == UNET_REUSE,
    )


def _with_leaves(steps: list[Step]) -> list[Step]:
    """Let each step leave what later ones take before it is left again."""
    wanted: set[str] = set()
    for step in reversed(steps):
        leaves = tuple(name for name in STEP_KINDS[step.kind].leaves if name in wanted)
        wanted = (wanted - set(leaves)) | set(step.takes)
        steps[step.index] = replace(step, leaves=leaves)
    if wanted:
        raise InvalidRequest(
            "plan", f"no step leaves {', '.join(sorted(wanted))}", "raise cache and skip point"
        )
    return steps


@dataclass(frozen=True)
class Cost:
    """What a step or a plan costs.

    Attributes:
        evals: full UNet passes, counted per sample.
        macs: multiply-accumulates, attention products included; 0 when not counted.
    """

    evals: float
    macs: int


def step_cost(step: Step, candidates: int, table: Iterable[StepKindCost]) -> Cost:
    """Count one step.

    Args:
        step: of a plan.
        candidates: N >= 1.
        table: costs of the step kinds, of a card.

    Raises:
        InvalidRequest: the table lacks the step's kind.
    """
    for kind in table:
        if kind.name == step.kind:
            samples, sets = step.samples(candidates), step.sets(candidates)
            return Cost(
                samples * kind.evals + sets * kind.evals_per_set,
                samples * kind.macs + sets * kind.macs_per_set,
            )
    raise InvalidRequest(
        "profile", f"needs the step kind {step.kind}, which the bundle lacks", "export it again"
    )


def plan_cost(plan: Plan, candidates: int, table: Iterable[StepKindCost]) -> Cost:
    """Count a plan: the sum of `step_cost` over its steps."""
    kinds = tuple(table)
    costs = [step_cost(step, candidates, kinds) for step in plan.steps]
    return Cost(sum(cost.evals for cost in costs), sum(cost.macs for cost in costs))

import mmap
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_service.slots import Layout, Slot, SlotPool, slot_layout
from obclip.plan import Profile
from tests.fakes.tiny_bundle import TinyBundle

LAYOUT = Layout({"latents": (4, 8, 8), "feature": (96, 16, 16)}, rows=3)


def _slot(layout: Layout = LAYOUT) -> Slot:
    return Slot("slot", layout, mmap.mmap(-1, layout.slot_bytes))


@given(
    st.dictionaries(st.text(), st.lists(st.integers(1, 40), max_size=3).map(tuple), min_size=1),
    st.integers(1, 9),
)
def test_tensors_lie_side_by_side(shapes: dict[str, tuple[int, ...]], rows: int) -> None:
    layout = Layout(shapes, rows)
    slot = _slot(layout)
    views = {}
    for value, (name, shape) in enumerate(shapes.items()):
        views[name] = slot.view(name, (rows, *shape))
        views[name][...] = value
    for value, view in enumerate(views.values()):
        assert (view == value).all()


def test_gives_the_place_of_what_lies_in_it() -> None:
    slot = _slot()
    feature = slot.view("feature", (3, 96, 16, 16))
    assert feature is not None
    assert slot.offset(feature) == LAYOUT.offsets()["feature"]
    assert slot.offset(feature[1:]) == LAYOUT.offsets()["feature"] + 96 * 16 * 16 * 4
    assert slot.offset(feature.reshape(1, 3, -1)) == LAYOUT.offsets()["feature"]
    assert slot.offset(feature[::2]) is None  # not in one piece
    assert slot.offset(feature.copy()) is None
    assert slot.offset(np.concatenate([feature, feature])) is None


@pytest.mark.parametrize("shape", [(4, 96, 16, 16), (2, 2, 96, 16, 16)])
def test_has_no_place_for_more_rows(shape: tuple[int, ...]) -> None:
    assert _slot().view("feature", shape) is None


def test_has_no_place_for_what_it_does_not_know() -> None:
    assert _slot().view("timestep", (1,)) is None


def test_a_slot_serves_one_run_at_a_time() -> None:
    pool = SlotPool([_slot(), _slot()])
    with pool.lease() as first, pool.lease() as second, pool.lease() as third:
        assert first is not second
        assert third is None
    with pool.lease() as again:
        assert again in (first, second)


def test_a_spoiled_slot_serves_no_more() -> None:
    pool = SlotPool([_slot()])
    with pool.lease() as slot:
        assert slot is not None
        slot.is_spoiled = True
    with pool.lease() as slot:
        assert slot is None


def test_a_failed_run_gives_its_slot_back() -> None:
    pool = SlotPool([_slot()])
    with pytest.raises(RuntimeError), pool.lease():
        raise RuntimeError
    with pool.lease() as slot:
        assert slot is not None


def test_shows_no_memory() -> None:
    assert "mmap" not in repr(_slot())


@pytest.mark.parametrize(
    ("profile", "cached"),
    [
        (Profile.BARE, set()),
        (Profile.BALANCED, {"feature"}),
        (Profile.PAPER, {"skips", "attention_down", "attention_up"}),
    ],
)
def test_holds_what_one_of_the_kinds_leaves_and_another_takes(
    bundle: TinyBundle, profile: Profile, cached: set[str]
) -> None:
    kinds = tuple(kind for kind in bundle.card.step_kinds if kind.name in profile.step_kinds())
    layout = slot_layout(replace(bundle.card, step_kinds=kinds), rows=2)
    assert set(layout.shapes) == {"latents", "encoder_hidden_states", "model_output"} | cached

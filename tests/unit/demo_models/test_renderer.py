"""Laws of the portraits' distribution and of their rendering."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from demo_models import portrait as attributes
from demo_models.portrait import VALUES, Portrait, attribute_indices, is_held_out, sample_portrait
from demo_models.renderer import render, to_svg

PLAIN = Portrait(
    gender="male",
    age="young",
    ethnicity="caucasian",
    hair_style="short",
    hair_colour="brown",
    glasses=False,
    beard="none",
    hat="none",
    clothing="t-shirt",
    clothing_colour="blue",
    background="grey",
    expression="neutral",
)


def _sample(count: int, *, held_out: bool = False) -> list[Portrait]:
    rng = np.random.default_rng(7)
    return [sample_portrait(rng, held_out=held_out) for _ in range(count)]


@pytest.mark.parametrize("held_out", [False, True])
def test_samples_keep_to_their_side_of_the_split(held_out: bool) -> None:
    assert all(is_held_out(p) == held_out for p in _sample(300, held_out=held_out))


def test_held_out_ignores_what_the_rule_does_not_name() -> None:
    for p in _sample(20) + _sample(20, held_out=True):
        other = dataclasses.replace(p, hair_style="afro", clothing="suit", light=0.5)
        assert is_held_out(other) == is_held_out(p)


def test_training_has_every_value_and_every_gender_age_ethnicity() -> None:
    portraits = _sample(4000)
    for name, values in VALUES.items():
        assert {getattr(p, name) for p in portraits} == set(values)
    triples = itertools.product(attributes.GENDERS, attributes.AGES, attributes.ETHNICITIES)
    assert {(p.gender, p.age, p.ethnicity) for p in portraits} == set(triples)


def test_only_men_have_beards_and_only_women_wear_dresses() -> None:
    for p in _sample(1000):
        assert p.gender == "male" or p.beard == "none"
        assert p.gender == "female" or p.clothing != "dress"


def test_indices_name_the_attributes() -> None:
    for p in _sample(50):
        indices = attribute_indices(p)
        assert indices.keys() == VALUES.keys()
        assert all(VALUES[name][i] == getattr(p, name) for name, i in indices.items())


@pytest.mark.parametrize("size", [32, 128])
def test_render_is_a_deterministic_rgb_image(size: int) -> None:
    first, second = render(PLAIN, size), render(PLAIN, size)
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_every_two_values_of_an_attribute_look_different(name: str) -> None:
    changes: list[dict[str, Any]] = [{name: value} for value in VALUES[name]]
    images = [render(dataclasses.replace(PLAIN, **change)).astype(float) for change in changes]
    for one, other in itertools.combinations(images, 2):
        changed = np.abs(one - other).max(axis=2) > 24
        assert changed.mean() > 0.01


def test_every_style_draws_valid_svg_for_everyone() -> None:
    people = itertools.product(
        attributes.GENDERS, attributes.AGES, attributes.HAIR_STYLES, attributes.HATS
    )
    for gender, age, style, hat in people:
        drawn = dataclasses.replace(PLAIN, gender=gender, age=age, hair_style=style, hat=hat)
        ElementTree.fromstring(to_svg(drawn))  # noqa: S314  # our own drawing

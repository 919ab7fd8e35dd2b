import numpy as np
import pytest

from device_client.prior.effective_set import EffectiveSet, effective_set
from device_client.prior.features import BUCKETS, buckets_of
from device_client.prior.model import FILE, load_prior
from device_client.transformation import load_lexicon, transform

PROMPTS = [
    "a forest",
    "a portrait of an old woman with glasses",
    "a young asian man in a suit",
    "a woman kisses a man while her dog sleeps",
    "two girls on a beach",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_lies_between_one_and_n(prompt: str) -> None:
    skeleton = transform(prompt).skeleton
    posterior = load_prior().posterior(skeleton)
    assert posterior.shape == (skeleton.n,)
    assert posterior.sum() == pytest.approx(1)
    found = effective_set(skeleton)
    assert 1 <= found.size <= skeleton.n * (1 + 1e-9)
    assert 1 / skeleton.n <= found.largest_posterior <= 1
    assert found.largest_posterior == posterior.max()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_is_the_same_for_every_candidate(prompt: str) -> None:
    candidates = transform(prompt).skeleton.candidates()
    assert len({repr(effective_set(transform(text).skeleton)) for text in candidates}) == 1


def test_a_block_shares_what_is_left() -> None:
    skeleton = transform("a young asian man", max_candidates=5).skeleton
    posterior = load_prior().posterior(skeleton)
    assert (len(posterior), posterior.sum()) == (5, pytest.approx(1))


def test_words_that_hint_move_the_posterior() -> None:
    telling = "a beautiful woman, elegant dress, pretty face"
    female, _ = load_prior().posterior(transform("a person and a woman").skeleton)
    assert load_prior().posterior(transform(telling).skeleton)[0] > 1.5 * female


def test_uneven_candidates_count_for_fewer() -> None:
    skeleton = transform("a beautiful woman, elegant dress, pretty face").skeleton
    found = effective_set(skeleton)
    assert 1 / found.largest_posterior < found.size < skeleton.n


def test_a_warning_needs_a_secret_and_a_threshold() -> None:
    assert EffectiveSet(2.0, 0.5, {}).warning(2) is None
    assert EffectiveSet(1.0, 1.0, {}).warning(1) is None
    assert "95%" in str(EffectiveSet(1.2, 0.95, {}).warning(2))
    assert EffectiveSet(1.4, 0.89, {}).warning(2) is not None


def test_the_model_is_that_of_the_lexicon_and_small() -> None:
    lexicon, prior = load_lexicon(), load_prior()
    assert prior.facts["lexicon_version"] == lexicon.version
    for attribute in lexicon.attributes:
        assert prior.attributes[attribute.name].values == attribute.values
        assert 0 < prior.facts["attributes"][attribute.name]["accuracy"] < 1
    assert FILE.stat().st_size < 300_000


def test_features_are_buckets() -> None:
    rows = buckets_of(transform("an old woman and her hat").skeleton)
    assert len(rows) == 2
    assert rows[0] != rows[1]
    assert np.ptp([len(row) for row in rows]) < 10
    assert all(0 <= bucket < BUCKETS for row in rows for bucket in row)

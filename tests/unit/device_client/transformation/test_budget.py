import pytest

from device_client.private_side.choice import index_of
from device_client.transformation import TokenBudget, transform
from obclip.errors import PromptRefused

LONG = "portrait of a young african woman with glasses, at the beach, in the rain, near an old king"


def words(text: str) -> list[str]:
    return text.replace(",", " ,").split()


@pytest.mark.parametrize("most", range(5, 24))
def test_the_longest_candidate_fits_and_the_law_holds(most: int) -> None:
    budget = TokenBudget(words, most)  # type: ignore[arg-type]  # words serve as ids
    hidden = transform(LONG, token_budget=budget)
    candidates = hidden.skeleton.candidates()
    assert max(len(words(text)) for text in candidates) <= most
    for index, text in enumerate(candidates):
        again = transform(text, token_budget=budget)
        assert again.skeleton == hidden.skeleton
        assert index_of(again.choice) == index


def test_a_cut_never_turns_a_value_into_plain_text() -> None:
    budget = TokenBudget(words, 17)  # type: ignore[arg-type]
    assert "old" not in "".join(
        piece for piece in transform(LONG, token_budget=budget).skeleton.pieces
        if isinstance(piece, str)
    )  # fmt: skip


def test_nothing_is_cut_from_what_fits() -> None:
    budget = TokenBudget(words, 100)  # type: ignore[arg-type]
    assert transform(LONG, token_budget=budget).skeleton == transform(LONG).skeleton


def test_what_no_cut_can_help_is_refused() -> None:
    with pytest.raises(PromptRefused):
        transform(LONG, token_budget=TokenBudget(lambda text: range(len(text) + 50), 51))


def test_candidates_that_the_vocabulary_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(PromptRefused):
        transform("a woman", token_budget=TokenBudget(lambda _: [1, 2], 5))

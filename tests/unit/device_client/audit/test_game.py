import math

import pytest

from device_client.audit.attacks import ClosureAttack, OrderAttack, View, even
from device_client.audit.game import Trial, audit, play, score_by_lot, score_own, score_twins
from device_client.audit.transcript import Device, Hidden, Transcript

PROMPTS = ["an old woman with a cat", "a man in a car", "a young girl", "a queen and her dog"]
TEXTS = ("a", "b", "c", "d")


def hidden(texts: tuple[str, ...], truth: int) -> Hidden:
    return Hidden(Transcript(texts), truth)


def closed(own: int) -> Trial:
    return Trial((hidden(TEXTS, own),), tuple(hidden(TEXTS, place) for place in range(4)))


def own_first(own: int) -> Trial:
    orders = [(text, *(other for other in TEXTS if other != text)) for text in TEXTS]
    return Trial((hidden(orders[own], 0),), tuple(hidden(order, 0) for order in orders))


def test_equal_transcripts_leave_chance() -> None:
    score = score_by_lot(OrderAttack(), [closed(0), closed(0), closed(3), closed(0)])
    assert (score.success, score.chance, score.ahead, score.certain) == (0.25, 0.25, 0, 0)


def test_the_own_candidate_first_is_found_for_sure() -> None:
    score = score_by_lot(OrderAttack(), [own_first(place) for place in (0, 2, 3, 1)])
    assert (score.success, score.advantage, score.ahead, score.certain) == (1.0, 0.75, 2, 2)


def test_closure_singles_out_what_leads_nowhere_else() -> None:
    open_set = Trial(
        (hidden(TEXTS, 2),), tuple(hidden(TEXTS if n == 2 else ("x",), 0) for n in range(4))
    )
    score = score_own(ClosureAttack(), [open_set])
    assert (score.success, score.chance, score.certain) == (1.0, 0.25, 1)


def test_nothing_to_guess_is_not_played() -> None:
    score = score_own(ClosureAttack(), [Trial((hidden(("a",), 0),), (hidden(("a",), 0),))])
    assert score.prompts == 0
    assert score.advantage_limit == 1.0


def test_the_real_device_gives_nothing_away() -> None:
    trials = [trial for prompt in PROMPTS if (trial := play(prompt, Device().hide))]
    for score in audit(trials):
        assert score.advantage == pytest.approx(0)
        assert score.certain == 0
        assert score.success_interval[0] <= score.success <= score.success_interval[1]


@pytest.mark.parametrize("prompt", ["a man", "a woman"])
def test_a_device_that_refuses_one_of_two_twins_is_found_out(prompt: str) -> None:
    def hide(text: str) -> Hidden:
        return Hidden(Transcript(), 0) if text.endswith(" man") else Device().hide(text)

    trial = play(prompt, hide)
    assert trial is not None
    assert score_twins([trial]).advantage == 0.5


def test_a_refused_prompt_is_not_played() -> None:
    assert play("", Device().hide) is None


def test_a_view_shows_no_text() -> None:
    view = View((Transcript(TEXTS),), lambda _place: Transcript(TEXTS))
    assert "'a'" not in repr((view, Transcript(TEXTS)))


def test_even_without_a_suspect_is_even() -> None:
    assert even([False, False]).tolist() == [0.5, 0.5]
    assert math.isclose(even([True, False, True]).sum(), 1)

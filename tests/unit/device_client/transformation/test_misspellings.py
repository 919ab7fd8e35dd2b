import pytest

from device_client.transformation import transform


@pytest.mark.parametrize(
    ("prompt", "right"),
    [
        ("a womman in a car", "a woman in a car"),
        ("a beautifl wmoan", "a beautifl woman"),
        ("an eldrely man", "an elderly man"),
        ("a femal cyborg", "a female cyborg"),
        ("an elederly lady", "an elderly lady"),
        ("a japanase woman", "a japanese woman"),
        ("three girsl", "three girls"),
    ],
)
def test_a_slip_of_the_finger_is_read_as_the_word(prompt: str, right: str) -> None:
    assert transform(prompt).skeleton == transform(right).skeleton


@pytest.mark.parametrize("prompt", ["a wooden omen", "a roman arch", "a bridge", "an asylum"])
def test_ordinary_words_are_no_slips(prompt: str) -> None:
    assert transform(prompt).skeleton.n == 1

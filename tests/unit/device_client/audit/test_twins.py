import pytest

from device_client.audit.twins import twin_of


@pytest.mark.parametrize(
    ("prompt", "twin"),
    [
        ("a portrait of an old woman", "a portrait of a young man"),
        ("An asian girl and her dog", "An african boy and his dog"),
        ("she sees her", "he sees him"),
        ("a man in his 30s", "a woman in her 30s"),
        ("a 25-year-old woman", "a 85-year-old man"),
        ("portrait of Emma in a garden", "portrait of James in a garden"),
    ],
)
def test_the_person_is_exchanged(prompt: str, twin: str) -> None:
    assert twin_of(prompt) == twin


@pytest.mark.parametrize("prompt", ["an old house", "art by james jean", "asian food", ""])
def test_what_describes_no_person_has_no_twin(prompt: str) -> None:
    assert twin_of(prompt) is None

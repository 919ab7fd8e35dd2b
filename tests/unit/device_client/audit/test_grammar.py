import pytest

from device_client.audit.grammar import mistakes


@pytest.mark.parametrize(
    "text",
    [
        "an old woman with her dog",
        "a european man at an hour",
        "a man and a woman, her hat is red",
        "two women on a beach",
        "a portrait of a king with his crown",
    ],
)
def test_right(text: str) -> None:
    assert mistakes(text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a old woman",
        "an young man",
        "an european man",
        "a woman around his eyes",
        "a man looks at herself",
        "two woman on a beach",
        "a man with him hat is a man with him dog",
        "a picture of he",
        "the the man",
    ],
)
def test_wrong(text: str) -> None:
    assert mistakes(text) > 0

import pytest

from device_client.transformation import transform
from obclip.errors import PromptRefused


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "   ",
        "\u0436\u0435\u043d\u0449\u0438\u043d\u0430",
        "\u5973\u4eba in a garden",
        "<lora:someone:0.8> portrait",
        "a {man|woman} in a car",
        "a __person__ in a car",
        "a [cat|dog] in a car",
        "a w0man in a car",
        "a w o m a n in a car",
        "a m@n",
        "a wo-man",
        "a (fe)male doctor",
        "a w*man",
        "a g.i.r.l",
        "a w\u00f6-man",
        "H\u00c85 runs",
        "a gir1",
        "a 6lack cat lady",
        "a photo of h e",
        "a gent-leman",
        "l*ds",
        "g*ntleman",
        "word " * 2000,
    ],
)
def test_what_could_hide_a_sensitive_word_is_refused(prompt: str) -> None:
    with pytest.raises(PromptRefused):
        transform(prompt)


@pytest.mark.parametrize(
    "prompt", ["a b\u00f8y", "a g\u0131rl", "\u1d21\u1d0f\u1d0d\u1d00\u0274", "\U0001f6ba"]
)
def test_letters_that_only_look_foreign_are_read(prompt: str) -> None:
    assert transform(prompt).skeleton.n > 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("5she smiles", "5he smiles"), ("Mrs5 Smith", "Mr5 Smith"), ("la-dies", "la-ds")],
)
def test_a_disguise_is_refused_for_every_value(ours: str, theirs: str) -> None:
    """If only one were, the other would name itself."""
    for prompt in (ours, theirs):
        with pytest.raises(PromptRefused):
            transform(prompt)


@pytest.mark.parametrize(
    "prompt",
    ["2men in a boat", "1girl, 8k, 16mm", "a 25yo woman", "a 1960s woman", "an a i art of a man",
     "t h e queen", "a man with an mp3 player, f/1.8"],
)  # fmt: skip
def test_ordinary_digits_and_letters_are_read(prompt: str) -> None:
    assert transform(prompt).skeleton.n > 1


def test_a_candidate_that_would_be_refused_refuses_the_set() -> None:
    """The service would know who cannot have typed it."""
    for prompt in ("her5 in a garden", "his5 in a garden", "a lady lady5 in a garden"):
        with pytest.raises(PromptRefused):
            transform(prompt)


def test_a_refusal_quotes_nothing() -> None:
    with pytest.raises(PromptRefused) as refusal:
        transform("a secret w0man")
    assert "secret" not in f"{refusal.value} {refusal.value!r}"
    assert refusal.value.remedy


def test_the_negative_prompt_is_refused_too() -> None:
    with pytest.raises(PromptRefused):
        transform("a woman", "<lora:x:1>")


@pytest.mark.parametrize("prompt", ["(asian:1.3) woman", "((old)) man", "a [young] girl, 8k, 4 k"])
def test_weights_are_read(prompt: str) -> None:
    assert transform(prompt).skeleton.n > 1

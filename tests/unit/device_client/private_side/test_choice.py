import copy
import json
import logging
import marshal
import pickle
import pprint
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest

from device_client.private_side.choice import Choice, index_of, own_words_of

WORDS = "a portrait of my grandmother"
INDEX = 41


@dataclass(frozen=True)
class Holder:
    choice: Choice


@pytest.fixture
def choice() -> Choice:
    return Choice(INDEX, WORDS)


def test_private_side_reads_it(choice: Choice) -> None:
    assert index_of(choice) == INDEX
    assert own_words_of(choice) == WORDS


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        pprint.pformat,
        "{}".format,
        "{!r:>20}".format,
        "%s".__mod__,
        lambda choice: f"{choice} {choice!s} {choice!r}",
        lambda choice: repr(Holder(choice)),
        lambda choice: repr([choice, {"key": choice}]),
        lambda choice: str(ValueError(choice)),
    ],
)
def test_nothing_shows_its_content(choice: Choice, show: Callable[[object], str]) -> None:
    shown = show(choice)
    assert "choice" in shown
    assert str(INDEX) not in shown
    assert "grandmother" not in shown


def test_logging_shows_no_content(choice: Choice, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").error("%s %r", choice, choice)
    assert str(INDEX) not in caplog.text
    assert "grandmother" not in caplog.text


@pytest.mark.parametrize(
    "leak",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        vars,
        hash,
        bool,
        iter,
        len,
        int,
        bytes,
        lambda choice: asdict(Holder(choice)),
        lambda choice: choice == Choice(INDEX, WORDS),
        lambda choice: choice == INDEX,
        lambda choice: choice != INDEX,
        lambda choice: choice < INDEX,
        lambda choice: choice in [INDEX],
        lambda choice: {choice},
        lambda choice: choice.__getstate__(),
        lambda choice: choice.__reduce__(),
    ],
)
def test_every_way_out_is_a_type_error(choice: Choice, leak: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        leak(choice)


def test_marshal_refuses_it(choice: Choice) -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        marshal.dumps(choice)


def test_it_cannot_be_changed(choice: Choice) -> None:
    with pytest.raises(TypeError):
        choice.index = 3
    with pytest.raises(TypeError):
        del choice.index


def test_it_cannot_be_subclassed() -> None:
    with pytest.raises(TypeError):
        type("Talkative", (Choice,), {})

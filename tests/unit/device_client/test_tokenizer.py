from pathlib import Path

import numpy as np
import pytest

from device_client.tokenizer import Tokenizer
from obclip.errors import InvalidBundle
from tests.fakes.tiny_bundle import MARKS, TinyBundle

PAD, UNKNOWN, BEGIN, END = range(len(MARKS))


@pytest.fixture
def tokenizer(tiny_bundle: TinyBundle) -> Tokenizer:
    return Tokenizer(tiny_bundle.folder / "tokenizer" / "tokenizer.json", 8, PAD)


def test_short_text_is_padded(tokenizer: Tokenizer) -> None:
    ids = tokenizer.ids("a man")
    assert ids.dtype == np.int64
    assert list(ids[[0, 3]]) == [BEGIN, END]
    assert list(ids[4:]) == [PAD] * 4


def test_long_text_is_cut_and_still_ends(tokenizer: Tokenizer) -> None:
    ids = tokenizer.ids("a " * 30)
    assert len(ids) == 8
    assert ids[-1] == END


def test_count_is_that_of_the_whole_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.count("a " * 30) == 32


def test_unknown_words_are_named_once_in_order(tokenizer: Tokenizer) -> None:
    text = "a Zebra and a hovercraft, a zebra man and a Zebra"
    assert tokenizer.unknown_words(text) == ("Zebra", "hovercraft", "zebra")


def test_known_words_are_not_named(tokenizer: Tokenizer) -> None:
    assert tokenizer.unknown_words("A Smiling Woman, at the beach.") == ()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(InvalidBundle, match=r"tokenizer\.json"):
        Tokenizer(path, 8, PAD)

from pathlib import Path

import pytest

from device_client.private_side.choice import index_of
from device_client.transformation import load_lexicon, transform
from obclip.errors import InvalidRequest

RELIGION = """
[attributes.religion]
values = ["christian", "muslim", "hindu"]
words.muslim = ["islamic"]

[attributes.ethnicity]
words.asian = ["ainu"]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "words.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_users_attribute_becomes_a_slot(tmp_path: Path) -> None:
    lexicon = load_lexicon(write(tmp_path, RELIGION))
    hidden = transform("an islamic woman with an ainu girl", lexicon=lexicon)
    assert [slot.name for slot in hidden.skeleton.slots][:2] == ["gender", "religion"]
    assert hidden.skeleton.slots[1].values == ("christian", "muslim", "hindu")
    own = hidden.skeleton.candidates()[index_of(hidden.choice)]
    assert own.startswith("a muslim woman")


def test_its_version_goes_over_the_wire(tmp_path: Path) -> None:
    lexicon = load_lexicon(write(tmp_path, RELIGION))
    assert lexicon.version.startswith(load_lexicon().version + "+")
    assert transform("a tree", lexicon=lexicon).skeleton.lexicon_version == lexicon.version


@pytest.mark.parametrize(
    "text",
    [
        "not toml [",
        "[words]\nx = 1",
        "[attributes.Religion]\nvalues = ['a', 'b']",
        "[attributes.religion]\nvalues = ['one']",
        "[attributes.religion]\nvalues = ['a', 'a']",
        "[attributes.religion]\nvalues = ['A', 'b']",
        "[attributes.religion]\nvalues = ['woman', 'b']",
        "[attributes.age]\nvalues = ['new', 'used']",
        "[attributes.age]\nwords.ancient = ['olden']",
        "[attributes.age]\nwords.old = ['woman']",
        "[attributes.mood]\nwords.happy = ['glad']",
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest):
        load_lexicon(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        load_lexicon(tmp_path / "none.toml")

import re
from pathlib import Path

import pytest

from benchmarks.page import PAGE, markdown_table, replace_section

TEXT = "top\n<!-- one: generated -->\nold\n<!-- one: end -->\nbottom\n"


def test_replaces_a_section_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    for words in ("new", "newer"):
        replace_section(page, "one", words)
    assert page.read_text() == TEXT.replace("old", "\nnewer\n")


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    with pytest.raises(ValueError, match="lacks the marks of two; add <!-- two: generated -->"):
        replace_section(page, "two", "new")
    assert page.read_text() == TEXT


@pytest.mark.parametrize("section", ["acceleration", "fidelity", "load", "architectures"])
def test_the_page_has_every_section(section: str) -> None:
    text = PAGE.read_text()
    assert text.index(f"<!-- {section}: generated -->") < text.index(f"<!-- {section}: end -->")


def test_the_pages_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.read_text())
    assert len(pictures) >= 3
    assert not [name for name in pictures if not (PAGE.parent / name).is_file()]


def test_a_table() -> None:
    assert markdown_table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"

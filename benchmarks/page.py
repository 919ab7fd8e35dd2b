"""The generated sections of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # not on a machine that only runs the tests

PAGE: Final = Path("docs/benchmarks.md")
PICTURES: Final = Path("docs/pictures")


def replace_section(page: Path, name: str, text: str) -> None:
    """Puts text between a page's `<!-- name: generated -->` and `<!-- name: end -->`.

    Raises:
        ValueError: the page lacks the marks.
    """
    begin, end = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
    before, has_begin, rest = page.read_text().partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ValueError(f"{page} lacks the marks of {name}; add {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def save_plot(figure: Figure, file: Path) -> None:
    """Writes a plot as lossless WebP, which takes a third of a PNG's bytes."""
    figure.savefig(file, dpi=110, format="webp", pil_kwargs={"lossless": True, "method": 6})


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table, the first column to the left and the others to the right."""
    names = list(header)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

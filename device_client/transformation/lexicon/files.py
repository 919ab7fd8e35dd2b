"""The data files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any


def read_rows(name: str) -> Iterator[list[str]]:
    """Yields the tab-separated rows of a data file without its comments."""
    for line in _text(name).splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def read_words(name: str) -> tuple[str, ...]:
    """Returns the first column of a data file, in its order."""
    lines = _text(name).splitlines()
    return tuple(line.partition("\t")[0] for line in lines if line and line[0] != "#")


def read_toml(name: str) -> dict[str, Any]:
    """Returns a TOML data file."""
    return tomllib.loads(_text(name))


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

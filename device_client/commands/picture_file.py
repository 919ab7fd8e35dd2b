"""Picture files: checked before the work starts, and written whole or not at all."""

import os
import tempfile
from itertools import chain, count
from pathlib import Path

from PIL import Image

from obclip.errors import InvalidRequest

DEFAULT = Path("obclip.png")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})


def choose_picture(wanted: Path | None, *, overwrite: bool) -> Path:
    """Returns the file for the picture: obclip.png, or the next free obclip-2.png, by default.

    Args:
        wanted: The user's choice, or None.
        overwrite: It may exist.

    Raises:
        InvalidRequest: It cannot be written.
    """
    if wanted is None:
        wanted = DEFAULT if overwrite else _free_path(DEFAULT)
    _check("out", wanted, overwrite)
    return wanted


def choose_sheet(wanted: Path | None, *, overwrite: bool) -> Path | None:
    """Returns the file for the sheet, if the user wants one.

    Args:
        wanted: The user's choice, or None.
        overwrite: It may exist.

    Raises:
        InvalidRequest: It cannot be written.
    """
    if wanted is not None:
        _check("sheet", wanted, overwrite)
    return wanted


def write_picture(image: Image.Image, path: Path) -> None:
    """Writes the picture under another name and renames it, so that no partial file appears.

    Args:
        image: The picture.
        path: The file; replaced if it exists.

    Raises:
        InvalidRequest: The file cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".obclip-") as folder:
            whole = Path(folder, path.name)
            image.save(whole)
            whole.replace(path)
    except OSError as failure:
        raise InvalidRequest("out", f"{path} cannot be written", "choose another") from failure


def _free_path(wanted: Path) -> Path:
    numbered = (wanted.with_stem(f"{wanted.stem}-{number}") for number in count(2))
    return next(path for path in chain([wanted], numbered) if not path.exists())


def _check(option: str, path: Path, overwrite: bool) -> None:
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(sorted(SUFFIXES))
        raise InvalidRequest(option, f"{path.name} names no picture format", f"end it in {known}")
    if not os.access(path.parent, os.W_OK):
        raise InvalidRequest(option, f"cannot write to folder {path.parent}", "choose another")
    if path.exists() and not overwrite:
        raise InvalidRequest(option, f"{path} exists", "choose another name or add --force")

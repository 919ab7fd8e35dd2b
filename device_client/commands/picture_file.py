"""Picture files: checked before the work starts, and written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from PIL import Image

from obclip.errors import InvalidRequest

DEFAULT = Path("obclip.png")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})


@dataclass(frozen=True)
class PictureFile:
    """Where a picture goes.

    Attributes:
        option: Name of the option that chose it, for errors.
        path: The file.
        overwrite: It may exist.
    """

    option: str
    path: Path
    overwrite: bool

    def write(self, image: Image.Image) -> Path:
        """Writes the picture under another name and renames it, so that no partial file appears.

        A file that has come there since the choice is kept, unless it may be overwritten: the
        picture takes the next free number.

        Args:
            image: The picture.

        Returns:
            Where it is.

        Raises:
            InvalidRequest: The file cannot be written.
        """
        try:
            with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".obclip-") as folder:
                whole = Path(folder, self.path.name)
                image.save(whole)
                target = self.path if self.overwrite else _reserved(self.path)
                return whole.replace(target)
        except OSError as failure:
            reason = f"{self.path} cannot be written"
            raise InvalidRequest(self.option, reason, "choose another") from failure


def choose_files(
    picture: Path | None, sheet: Path | None, *, overwrite: bool
) -> tuple[PictureFile, PictureFile | None]:
    """Returns the files for the picture and, if the user wants one, for the sheet.

    Args:
        picture: The user's choice, or None for obclip.png, or the next free obclip-2.png.
        sheet: The user's choice, or None for no sheet.
        overwrite: They may exist.

    Raises:
        InvalidRequest: One of them cannot be written, or they are one file.
    """
    if picture is None:
        picture = DEFAULT if overwrite else next(_numbered(DEFAULT))
    _check("out", picture, overwrite)
    if sheet is None:
        return PictureFile("out", picture, overwrite), None
    _check("sheet", sheet, overwrite)
    if sheet.resolve() == picture.resolve():
        raise InvalidRequest("sheet", f"{sheet} is the picture's file", "choose another name")
    return PictureFile("out", picture, overwrite), PictureFile("sheet", sheet, overwrite)


def _numbered(wanted: Path) -> Iterator[Path]:
    """Yields those of picture.png, picture-2.png, picture-3.png ... that do not exist."""
    numbered = (wanted.with_stem(f"{wanted.stem}-{number}") for number in count(2))
    return (path for path in chain([wanted], numbered) if not path.exists())


def _reserved(wanted: Path) -> Path:
    """Creates the first of the numbered files that nobody else has created."""
    for path in _numbered(wanted):
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError("the numbers do not end")


def _check(option: str, path: Path, overwrite: bool) -> None:
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(sorted(SUFFIXES))
        raise InvalidRequest(option, f"{path.name} names no picture format", f"end it in {known}")
    if not os.access(path.parent, os.W_OK):
        raise InvalidRequest(option, f"cannot write to folder {path.parent}", "choose another")
    if not _may_exist(path):
        raise InvalidRequest(option, f"{path} cannot be a file", "choose another name")
    if path.exists() and not overwrite:
        raise InvalidRequest(option, f"{path} exists", "choose another name or add --force")


def _may_exist(path: Path) -> bool:
    """Whether a file can have this name; a name may be too long, or a folder's."""
    try:
        return not path.is_dir()
    except OSError:
        return False

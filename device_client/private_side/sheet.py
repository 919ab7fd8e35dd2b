"""The sheet: what the cloud saw, all candidates, beside what the device made of its own."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from device_client.private_side.choice import Choice, index_of

PAPER = (250, 249, 246)
INK = (38, 38, 44)
FAINT = (128, 126, 130)
MARK = (214, 84, 44)
MARGIN = 28
GAP = 12
LABEL, LABEL_FONT = 22, 11
HEADER = 62
PICTURE = 448
MIN_THUMB, MAX_THUMB = 160, 208  # the longest label of the paper's attributes fits
MAX_COLUMNS = 6


@dataclass(frozen=True)
class _Grid:
    """Where the candidates stand; all in pixels."""

    columns: int
    rows: int
    thumb: int

    @property
    def width(self) -> int:
        return self.columns * (self.thumb + GAP) - GAP

    @property
    def height(self) -> int:
        return self.rows * (self.thumb + LABEL + GAP) - GAP

    def corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        return (
            MARGIN + column * (self.thumb + GAP),
            MARGIN + HEADER + row * (self.thumb + LABEL + GAP),
        )


def draw_sheet(
    seen_u8: NDArray[np.uint8],
    labels: tuple[str, ...],
    image_u8: NDArray[np.uint8],
    choice: Choice,
) -> Image.Image:
    """Draws the sheet. It marks the user's candidate, so it stays on the device.

    Args:
        seen_u8: (N, H, W, 3) uint8, the clean picture of each candidate as the cloud left it.
        labels: What tells each candidate from the others, in the same order.
        image_u8: (H, W, 3) uint8, the device's picture.
        choice: Which candidate is the user's.

    Returns:
        An RGB image.
    """
    grid = _lay_out(len(labels))
    width = 3 * MARGIN + grid.width + PICTURE
    height = 2 * MARGIN + HEADER + max(grid.height, PICTURE)
    sheet = Image.new("RGB", (width, height), PAPER)
    _draw_candidates(sheet, grid, seen_u8, labels)
    _mark(sheet, grid, labels, index_of(choice))
    _draw_picture(sheet, image_u8, 2 * MARGIN + grid.width)
    return sheet


def _lay_out(count: int) -> _Grid:
    """Returns a grid about as high as the picture, with full rows if that is possible."""
    full = (n for n in range(2, MAX_COLUMNS + 1) if count % n == 0 and n * n >= 0.8 * count)
    columns = next(full, math.ceil(math.sqrt(count)))
    columns = min(columns, MAX_COLUMNS)
    rows = math.ceil(count / columns)
    thumb = (PICTURE + GAP) // rows - GAP - LABEL
    return _Grid(columns, rows, min(max(thumb, MIN_THUMB), MAX_THUMB))


def _draw_candidates(
    sheet: Image.Image, grid: _Grid, seen_u8: NDArray[np.uint8], labels: tuple[str, ...]
) -> None:
    draw = ImageDraw.Draw(sheet)
    many = len(labels) > 1
    title = f"The cloud saw {len(labels)} candidates" if many else "The cloud saw the prompt"
    subtitle = "and cannot tell which is yours: the framed one" if many else "it has no secret"
    _heading(draw, MARGIN, title, subtitle)
    for index, (pixels, label) in enumerate(zip(seen_u8, labels, strict=True)):
        x, y = grid.corner(index)
        sheet.paste(_scaled(pixels, grid.thumb), (x, y))
        _caption(draw, (x, y + grid.thumb + 6), _fitting(label, grid.thumb), FAINT)


def _mark(sheet: Image.Image, grid: _Grid, labels: tuple[str, ...], own: int) -> None:
    draw = ImageDraw.Draw(sheet)
    x, y = grid.corner(own)
    frame = (x - 4, y - 4, x + grid.thumb + 3, y + grid.thumb + 3)
    draw.rounded_rectangle(frame, radius=6, outline=MARK, width=4)
    below = (x, y + grid.thumb + 6)
    draw.rectangle((*below, x + grid.thumb, y + grid.thumb + LABEL), fill=PAPER)
    _caption(draw, below, _fitting(labels[own], grid.thumb), MARK)


def _draw_picture(sheet: Image.Image, image_u8: NDArray[np.uint8], x: int) -> None:
    draw = ImageDraw.Draw(sheet)
    _heading(draw, x, "The device made", "its own candidate, finished here and seen by nobody else")
    sheet.paste(_scaled(image_u8, PICTURE), (x, MARGIN + HEADER))


def _heading(draw: ImageDraw.ImageDraw, x: int, title: str, subtitle: str) -> None:
    draw.text((x, MARGIN), title, fill=INK, font=_font(22))
    draw.text((x, MARGIN + 30), subtitle, fill=FAINT, font=_font(13))


def _caption(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], words: str, colour: tuple[int, int, int]
) -> None:
    draw.text(place, words, fill=colour, font=_font(LABEL_FONT))


def _scaled(pixels: NDArray[np.uint8], size: int) -> Image.Image:
    return ImageOps.pad(
        Image.fromarray(pixels), (size, size), Image.Resampling.LANCZOS, color=PAPER
    )


def _fitting(label: str, width: int) -> str:
    font = _font(LABEL_FONT)
    while font.getlength(label) > width:
        label = label[:-2] + "…"
    return label


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

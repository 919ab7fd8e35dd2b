import numpy as np
import pytest

from device_client.private_side.choice import Choice
from device_client.private_side.sheet import MARGIN, MARK, PICTURE, draw_sheet


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 12, 30, 64])
def test_every_candidate_and_the_picture_are_on_the_sheet(count: int) -> None:
    seen_u8 = np.zeros((count, 32, 32, 3), np.uint8)
    for index in range(count):
        seen_u8[index] = (index + 1, 200, 100)
    image_u8 = np.full((32, 32, 3), (9, 9, 250), np.uint8)
    labels = tuple(f"value {index}" for index in range(count))
    sheet = draw_sheet(seen_u8, labels, image_u8, Choice(count - 1, ""))
    colours = {colour for _count, colour in sheet.getcolors(1 << 24) or []}
    assert colours >= {(index + 1, 200, 100) for index in range(count)} | {(9, 9, 250), MARK}


def test_the_mark_is_at_the_choice_alone() -> None:
    seen_u8, labels = np.zeros((2, 8, 8, 3), np.uint8), ("a", "b")
    image_u8 = np.zeros((8, 8, 3), np.uint8)
    first, second = (
        np.asarray(draw_sheet(seen_u8, labels, image_u8, Choice(index, ""))) for index in (0, 1)
    )
    marked = [np.argwhere((sheet == MARK).all(axis=2))[:, 1].mean() for sheet in (first, second)]
    assert marked[0] < marked[1]


def test_a_long_label_is_cut() -> None:
    seen_u8, image_u8 = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    sheet = draw_sheet(seen_u8, ("x" * 200,), image_u8, Choice(0, ""))
    assert sheet.size == draw_sheet(seen_u8, ("x",), image_u8, Choice(0, "")).size


def test_pictures_keep_their_shape() -> None:
    seen = np.zeros((1, 16, 64, 3), np.uint8)
    picture = np.zeros((16, 64, 3), np.uint8)
    sheet = np.asarray(draw_sheet(seen, ("female",), picture, Choice(0, "")))
    rows, columns = np.nonzero((sheet[:, -MARGIN - PICTURE : -MARGIN] == 0).all(axis=2))
    assert np.ptp(columns) + 1 == PICTURE
    assert np.ptp(rows) + 1 == PICTURE // 4

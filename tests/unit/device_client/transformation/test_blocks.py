from itertools import chain
from math import prod

import pytest

from device_client.transformation.blocks import partition

SIZES = [(2,), (2, 3), (2, 3, 5), (2, 2), (3, 3), (2, 3, 2), (2, 5, 2)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("most", [2, 3, 4, 6, 10])
def test_the_blocks_are_a_partition(sizes: tuple[int, ...], most: int) -> None:
    blocks = partition(sizes, most)
    assert sorted(chain.from_iterable(blocks)) == list(range(prod(sizes)))
    assert all(len(block) <= most for block in blocks)
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


def test_a_block_of_six_of_thirty_holds_every_gender_and_age_and_ethnicity() -> None:
    for block in partition((2, 3, 5), 6):
        values = [(place // 15, place // 5 % 3, place % 5) for place in block]
        assert [len({value[slot] for value in values}) for slot in range(3)] == [2, 3, 5]

import numpy as np
import pytest

from obclip.errors import InvalidRequest
from obclip.ranges import require_range, require_whole


@pytest.mark.parametrize("limit", [7.1, 7.3, 20.0])
def test_a_number_at_its_limit_is_taken_on_both_sides_of_the_wire(limit: float) -> None:
    on_the_card = float(np.float32(limit))
    require_range("guidance_scale", limit, 0, on_the_card)  # the device
    require_range("guidance_scale", on_the_card, 0, limit)  # the service


@pytest.mark.parametrize("value", [7.11, -1e-9, float("nan"), float("inf"), -float("inf"), 1e300])
def test_a_number_outside_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequest, match=r"outside 0\.\.7\.1; choose 0 to 7\.1"):
        require_range("guidance_scale", value, 0, 7.1)


@pytest.mark.parametrize("value", [2.0, 2.5, "2", True, None, float("nan")])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match=r"steps: is no whole number; choose one of 1\.\.9"):
        require_whole("steps", value, 1, 9)


@pytest.mark.parametrize("value", [0, 10, -1, 10**5000], ids=["0", "10", "-1", "huge"])
def test_a_whole_number_outside_is_refused(value: int) -> None:
    with pytest.raises(InvalidRequest, match=r"steps: is outside 1\.\.9; choose 1 to 9"):
        require_whole("steps", value, 1, 9)


def test_whole_numbers_of_numpy_are_taken() -> None:
    require_whole("steps", np.int64(9), 1, 9)

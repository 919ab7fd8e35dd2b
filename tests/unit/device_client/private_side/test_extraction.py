import numpy as np
import pytest

from device_client.private_side.choice import Choice
from device_client.private_side.extraction import extract
from obclip.solver import SolverState


@pytest.mark.parametrize("index", range(5))
def test_the_row_of_the_choice_is_taken(index: int) -> None:
    latents = np.arange(5 * 2 * 3 * 3, dtype=np.float32).reshape(5, 2, 3, 3)
    state = extract(SolverState(latents, -latents), Choice(index, ""))
    assert state.previous_x0 is not None
    np.testing.assert_array_equal(state.latents, latents[index : index + 1])
    np.testing.assert_array_equal(state.previous_x0, -latents[index : index + 1])


def test_the_batch_can_be_freed() -> None:
    latents = np.zeros((3, 1, 2, 2), np.float32)
    state = extract(SolverState(latents), Choice(1, ""))
    assert state.previous_x0 is None
    assert not np.shares_memory(state.latents, latents)

import numpy as np
import pytest
from numpy.typing import NDArray

from device_client.public_side.validated_batch import validate_batch
from obclip.card import LatentFormat
from obclip.errors import WireError
from obclip.tensors import encode
from obclip.v1 import generation_pb2

FORMAT = LatentFormat(channels=2, height=4, width=4, wire_type="float16")
COUNT = 3


def noise() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(COUNT, 2, 4, 4)).astype(np.float32)


def to_batch(
    latents: NDArray[np.float32], x0: NDArray[np.float32] | None
) -> generation_pb2.LatentBatch:
    batch = generation_pb2.LatentBatch(latents=encode(latents, FORMAT.tensor_type))
    if x0 is not None:
        batch.previous_x0.CopyFrom(encode(x0, FORMAT.tensor_type))
    return batch


def test_a_sound_batch_comes_back_as_numbers() -> None:
    state = validate_batch(to_batch(noise(), noise() / 2), COUNT, FORMAT, 5)
    assert state.previous_x0 is not None
    np.testing.assert_allclose(state.latents, noise(), rtol=1e-3)
    np.testing.assert_allclose(state.previous_x0, noise() / 2, rtol=1e-3)


def test_no_steps_leave_no_prediction() -> None:
    assert validate_batch(to_batch(noise(), None), COUNT, FORMAT, 0).previous_x0 is None


@pytest.mark.parametrize("switch_point", [0, 1])
def test_the_prediction_comes_exactly_when_there_were_steps(switch_point: int) -> None:
    batch = to_batch(noise(), noise() if switch_point == 0 else None)
    with pytest.raises(WireError, match="previous_x0"):
        validate_batch(batch, COUNT, FORMAT, switch_point)


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
def test_the_count_is_that_of_the_request(count: int) -> None:
    with pytest.raises(WireError, match="shape"):
        validate_batch(to_batch(noise(), noise()), count, FORMAT, 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1e4])
@pytest.mark.parametrize("position", range(COUNT))
def test_damaged_latents_give_one_verdict(position: int, value: float) -> None:
    verdicts = set()
    for place in (0, position):
        latents = noise()
        latents[place] = value
        with pytest.raises(WireError) as caught:
            validate_batch(to_batch(latents, noise()), COUNT, FORMAT, 5)
        verdicts.add(str(caught.value))
    assert len(verdicts) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e4])
def test_a_damaged_prediction_is_refused(value: float) -> None:
    x0 = noise()
    x0[1, 0, 0, 0] = value
    with pytest.raises(WireError):
        validate_batch(to_batch(noise(), x0 * 1.0), COUNT, FORMAT, 5)


def test_a_flat_prediction_is_sound() -> None:
    """An early step may predict the mean picture, whose latent can be near zero."""
    validate_batch(to_batch(noise(), 0 * noise()), COUNT, FORMAT, 1)

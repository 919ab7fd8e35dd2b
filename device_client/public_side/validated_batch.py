"""Validation of the whole batch, before the private side may look at any of it."""

import numpy as np
from numpy.typing import NDArray

from obclip.card import LatentFormat
from obclip.errors import WireError
from obclip.solver import SolverState
from obclip.tensors import decode, require_finite
from obclip.v1 import generation_pb2

# Root mean square of one candidate. Diffusion latents stay near 1 at every step, clean predictions
# under strong guidance below 10; the bounds are wide, to catch damage and not to judge style.
MIN_LATENT_RMS = 0.02
MAX_RMS = 50.0


def validate_batch(
    batch: generation_pb2.LatentBatch, count: int, latents: LatentFormat, switch_point: int
) -> SolverState:
    """Checks all candidates and gives one verdict.

    The error is the same whichever candidate is damaged, and does not say which one, so that what
    the device does next tells a malicious service nothing about the choice.

    Args:
        batch: What came over the wire.
        count: N, candidates sent.
        latents: The family's latent format.
        switch_point: k; at 0 there is no previous prediction.

    Returns:
        State of all candidates after the cloud's last step, arrays (N, C, H, W) float32.

    Raises:
        WireError: Type, count, shape, byte count, finiteness or norm is wrong.
    """
    if batch.HasField("previous_x0") != (switch_point > 0):
        raise WireError(f"previous_x0 is {'missing' if switch_point else 'not expected'}")
    shape = (count, *latents.shape)
    state = decode(batch.latents, expected_type=latents.tensor_type, expected_shape=shape)
    _check_values(state, "latents", MIN_LATENT_RMS)
    if switch_point == 0:
        return SolverState(state)
    x0 = decode(batch.previous_x0, expected_type=latents.tensor_type, expected_shape=shape)
    _check_values(x0, "previous_x0", 0.0)
    return SolverState(state, x0)


def _check_values(array: NDArray[np.float32], name: str, min_rms: float) -> None:
    require_finite(array, name)
    with np.errstate(over="ignore"):  # an overflow is an infinite norm, which the bound refuses
        rms = np.sqrt(np.mean(np.square(array), axis=(1, 2, 3)))
    if not ((rms >= min_rms) & (rms <= MAX_RMS)).all():
        raise WireError(f"{name} are outside the norms that denoising can produce")

"""Local extraction: the user's own candidate out of the whole batch."""

from device_client.private_side.choice import Choice, index_of
from obclip.solver import SolverState


def extract(batch: SolverState, choice: Choice) -> SolverState:
    """Returns the user's own solver state as a batch of one.

    Args:
        batch: State of all candidates after the last cloud step, arrays (N, C, H, W) float32.
        choice: Which of the N is the user's.

    Returns:
        The same state with arrays (1, C, H, W) float32, copied so that they keep no batch alive.
    """
    row = slice(index_of(choice), index_of(choice) + 1)
    previous_x0 = None if batch.previous_x0 is None else batch.previous_x0[row].copy()
    return SolverState(latents=batch.latents[row].copy(), previous_x0=previous_x0)

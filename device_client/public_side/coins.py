"""The device's random coins."""

import secrets
from dataclasses import dataclass

from obclip.ranges import require_whole

# Below 2^53 a seed survives JSON readers that keep numbers as doubles.
SEED_BITS = 53
MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class Coins:
    """Randomness of one request, independent of the prompt.

    Attributes:
        seed: Seed of the initial noise that all candidates share, 0..2^64-1. It is sent.
    """

    seed: int


def toss(seed: int | None) -> Coins:
    """Returns the user's seed, or one from the system's CSPRNG.

    Args:
        seed: The user's seed, or None.

    Raises:
        InvalidRequest: The seed is no whole number of 0..2^64-1.
    """
    if seed is None:
        return Coins(secrets.randbits(SEED_BITS))
    require_whole("seed", seed, 0, MAX_SEED)
    return Coins(int(seed))

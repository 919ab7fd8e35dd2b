import pytest

from device_client.public_side.coins import MAX_SEED, toss
from obclip.errors import InvalidRequest


def test_the_users_seed_is_kept() -> None:
    assert toss(MAX_SEED).seed == MAX_SEED
    assert toss(0).seed == 0


def test_coins_differ_and_survive_json_numbers() -> None:
    seeds = {toss(None).seed for _ in range(100)}
    assert len(seeds) == 100
    assert all(seed == int(float(seed)) for seed in seeds)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_outside_is_refused(seed: int) -> None:
    with pytest.raises(InvalidRequest, match="seed"):
        toss(seed)

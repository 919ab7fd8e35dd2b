import numpy as np
import pytest

from obclip.noise import initial_latents

GOLDEN = [-1.4838411, -0.33662856, 0.20083328, -0.30365208]


def test_all_candidates_get_the_same_noise():
    latents = initial_latents(7, 30, (8, 16, 16))
    assert latents.shape == (30, 8, 16, 16)
    assert latents.dtype == np.float32
    assert all(np.array_equal(latents[0], one) for one in latents)


def test_the_noise_does_not_depend_on_the_number_of_candidates():
    np.testing.assert_array_equal(
        initial_latents(7, 1, (4, 8, 8))[0], initial_latents(7, 6, (4, 8, 8))[5]
    )


def test_changing_one_candidate_leaves_the_others():
    latents = initial_latents(7, 2, (4, 8, 8))
    latents[0] = 0
    assert latents[1].any()


def test_other_seeds_give_independent_noise():
    first, last = initial_latents(0, 1, (4, 64, 64)), initial_latents(2**64 - 1, 1, (4, 64, 64))
    assert abs(np.corrcoef(first.ravel(), last.ravel())[0, 1]) < 0.03


def test_the_noise_is_standard_normal():
    latents = initial_latents(1, 1, (8, 64, 64)).astype(np.float64)
    moments = [np.mean(latents**power) for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.1)


def test_a_seed_gives_the_same_numbers_in_every_release():
    np.testing.assert_allclose(initial_latents(42, 1, (1, 1, 4)).ravel(), GOLDEN, rtol=1e-6)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        initial_latents(-1, 1, (1, 1, 1))

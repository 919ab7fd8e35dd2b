import pytest

from device_client.audit.interval import clopper_pearson


@pytest.mark.parametrize(
    ("hits", "trials", "limits"),
    # Computed with scipy.stats.beta.ppf(0.005, k, n - k + 1) and (0.995, k + 1, n - k).
    [
        (0, 10, (0.0, 0.4113)),
        (5, 10, (0.1283, 0.8717)),
        (10, 10, (0.5887, 1.0)),
        (0, 1000, (0.0, 0.005284)),
    ],
)
def test_limits_are_those_of_the_beta_distribution(
    hits: int, trials: int, limits: tuple[float, float]
) -> None:
    assert clopper_pearson(hits, trials) == pytest.approx(limits, abs=2e-4)


def test_no_hits_have_a_closed_form() -> None:
    assert clopper_pearson(0, 500, 0.9)[1] == pytest.approx(1 - 0.05 ** (1 / 500))


def test_nothing_played_tells_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)

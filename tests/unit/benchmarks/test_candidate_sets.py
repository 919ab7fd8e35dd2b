import numpy as np
import pytest

from benchmarks.candidate_sets import candidate_set
from device_client.hiding import HidingSettings, hide


@pytest.mark.parametrize("n", [2, 6, 30])
def test_the_sets_are_those_of_the_device_in_its_order(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(5):
        chosen = candidate_set(rng, n)
        prompt = chosen.prompts[int(rng.integers(n))]
        skeleton = hide(prompt, HidingSettings()).halves.skeleton
        assert skeleton.candidates() == chosen.prompts
        assert len(chosen.wanted) == n

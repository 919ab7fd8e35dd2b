"""The training loop: it learns, resumes, and its rate rises and falls."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")

from demo_models.training.loop import Schedule, train  # noqa: E402  # needs torch

WANTED = 1.0
SCHEDULE = Schedule(120, 16, 0.05, warmup_steps=10, decay_fraction=0.5, ema_decay=0.9)


class Fit:
    """Learns to multiply by WANTED."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Linear(4, 4)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        x = torch.from_numpy(rng.standard_normal((count, 4), dtype=np.float32))
        found = self.network(x.to(torch.bfloat16)).float()
        return (found - WANTED * x).square().mean(), {}

    def sample(self, network: torch.nn.Module, folder: Path, step: int) -> None:
        (folder / f"sample-{step}").write_text(str(network.weight.diagonal().tolist()))


class InterruptedFit(Fit):
    """Stops after the first checkpoint and before the end."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        self.calls += 1
        if self.calls == 110:
            raise KeyboardInterrupt
        return super().loss(rng, count)


def trained(folder: Path, task: Callable[[], Fit] = Fit) -> dict[str, torch.Tensor]:
    train(task, SCHEDULE, folder, processes=1)
    weights: dict[str, torch.Tensor] = torch.load(folder / "network.pt", weights_only=True)
    return weights


def test_it_learns_and_leaves_its_log_and_a_sample(tmp_path: Path) -> None:
    weights = trained(tmp_path)
    torch.testing.assert_close(weights["weight"], WANTED * torch.eye(4), atol=0.3, rtol=0)
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 6
    assert (tmp_path / "sample-120").is_file()


def test_an_interrupted_run_ends_where_a_straight_one_does(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "resumed", InterruptedFit)
    assert not (tmp_path / "resumed" / "network.pt").exists()
    resumed, straight = trained(tmp_path / "resumed"), trained(tmp_path / "straight")
    torch.testing.assert_close(resumed, straight, rtol=0, atol=0)


@pytest.mark.parametrize("step", [0, 10, 60, 61, 119])
def test_the_rate_rises_and_falls(step: int) -> None:
    rate = SCHEDULE.rate(step)
    assert 0 < rate <= 0.05
    assert (rate == 0.05) == (10 <= step <= 60)


@pytest.mark.parametrize("processes", [3, 32])
def test_processes_that_cannot_share_a_batch_are_refused(tmp_path: Path, processes: int) -> None:
    """Some images would be left out, or all of them."""
    with pytest.raises(ValueError, match=f"16 images cannot be shared by {processes} processes"):
        train(Fit, SCHEDULE, tmp_path / "run", processes)
    assert not (tmp_path / "run").exists()

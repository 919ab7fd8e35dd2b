"""What an export says beforehand that it takes; real sizes are measured in test_real_sizes."""

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from cloud_service.export.needs import estimate
from cloud_service.export.pair import ModelPair
from tests.fakes.tiny_pipeline import Tiny, save_tiny_pair


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_tiny_pair(tmp_path_factory.mktemp("pair"), Tiny())


def memory(folders, tmp_path, size):
    pair = ModelPair(*folders, None, size)
    return estimate(pair, tmp_path / "bundle", None, graphs=5).memory_bytes


def test_attention_at_twice_the_size_needs_sixteen_times_the_memory(folders, tmp_path):
    small, middle, large = (memory(folders, tmp_path, size) for size in (1024, 2048, 4096))
    assert (large - middle) / (middle - small) == pytest.approx(16, rel=0.01)

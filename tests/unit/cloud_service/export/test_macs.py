"""Counts against formulas, and against the published size of Stable Diffusion 1.4."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from cloud_service.export.graph_modules import Unet  # noqa: E402 -- after the skips
from cloud_service.export.macs import count_macs  # noqa: E402


class Attention(torch.nn.Module):
    def forward(self, query, key):
        return torch.nn.functional.scaled_dot_product_attention(query, key, key)


def test_a_linear_layer():
    assert count_macs(torch.nn.Linear(6, 7), {"x": torch.ones(3, 6)}) == 6 * 7


def test_a_convolution():
    assert count_macs(torch.nn.Conv2d(3, 5, 3), {"x": torch.ones(2, 3, 8, 10)}) == 5 * 27 * 6 * 8


def test_attention_counts_both_products():
    examples = {"query": torch.ones(2, 4, 9, 16), "key": torch.ones(2, 4, 5, 16)}
    assert count_macs(Attention(), examples) == 2 * 4 * 9 * 5 * 16


def test_one_pass_of_stable_diffusion_1_4_is_401_6_gmac():
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, attention_head_dim=8
        )
        examples = {
            "latents": torch.empty(2, 4, 64, 64),
            "timestep": torch.empty(2),
            "encoder_hidden_states": torch.empty(2, 77, 768),
        }
    assert count_macs(Unet(unet), examples) == pytest.approx(401.6e9, rel=1e-3)

"""The device UNet's first weights, taken out of the cloud's."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from demo_models import architecture  # noqa: E402
from demo_models.training.pruning import prune_cloud  # noqa: E402

KEPT = [i for i in range(160) if i % 5 != 4]


@pytest.fixture(scope="module")
def unets():
    torch.manual_seed(0)
    cloud, device = architecture.cloud_unet(), architecture.device_unet()
    prune_cloud(cloud, device)
    return cloud, device


def test_what_the_two_share_at_full_resolution_is_the_clouds(unets):
    cloud, device = unets
    for name in ("conv_in", "time_embedding", "down_blocks.0", "conv_norm_out", "conv_out"):
        theirs = device.get_submodule(name).state_dict()
        for key, weights in cloud.get_submodule(name).state_dict().items():
            assert torch.equal(weights, theirs[key]), f"{name}.{key}"


def test_of_the_lower_level_four_of_five_channels_stay_with_those_that_read_them(unets):
    cloud, device = unets
    ours, theirs = (unet.down_blocks[1].resnets[0] for unet in unets)
    assert torch.equal(theirs.conv2.weight, ours.conv2.weight[KEPT][:, KEPT])
    assert torch.equal(theirs.norm2.weight, ours.norm2.weight[KEPT])
    last = device.up_blocks[1].resnets[0].conv1.weight
    wanted = cloud.up_blocks[2].resnets[0].conv1.weight
    assert torch.equal(last, torch.cat([wanted[:, :160][:, KEPT], wanted[:, 160:]], dim=1))


def test_every_head_of_attention_and_both_halves_of_its_gate_stay(unets):
    ours, theirs = (unet.down_blocks[1].attentions[0].transformer_blocks[0] for unet in unets)
    rows = [40 * head + i for head in range(4) for i in range(40) if i % 5 != 4]
    assert torch.equal(theirs.attn2.to_k.weight, ours.attn2.to_k.weight[rows])
    gate = [i for i in range(1280) if i % 5 != 4]
    assert len(gate) == 2 * len([i for i in gate if i < 640])
    assert torch.equal(theirs.ff.net[0].proj.weight, ours.ff.net[0].proj.weight[gate][:, KEPT])


def test_the_skip_that_comes_twice_without_the_lowest_level_counts_as_once(unets):
    cloud, device = unets
    skip = torch.randn(1, 128, 4, 4)
    ours = cloud.up_blocks[1].resnets[0].conv_shortcut
    theirs = device.up_blocks[0].resnets[0].conv_shortcut
    wanted = torch.nn.functional.conv2d(skip, ours.weight[KEPT][:, 192:][:, KEPT], ours.bias[KEPT])
    torch.testing.assert_close(theirs(torch.cat([skip, skip], dim=1)), wanted)


def test_the_pruned_network_has_no_dead_weights(unets):
    _, device = unets
    network = device.train()
    text = torch.randn(2, 48, 128)
    found = network(torch.randn(2, 8, 16, 16), torch.tensor([10, 500]), text).sample
    found.square().mean().backward()
    dead = [name for name, weights in network.named_parameters() if not weights.grad.any()]
    network.zero_grad()
    assert not dead

"""The tasks of the recipe on a few random pictures with untrained networks."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from demo_models import architecture  # noqa: E402
from demo_models.portrait import VALUES  # noqa: E402
from demo_models.tokenizer import build_tokenizer  # noqa: E402
from demo_models.training.autoencoder import load_autoencoder  # noqa: E402
from demo_models.training.decoder import LAST_TIME, PASSES, DecoderTask  # noqa: E402
from demo_models.training.denoiser import (  # noqa: E402
    GUIDANCE,
    LATE_TIME,
    DeviceUnetTask,
    Inputs,
    NoisyLatents,
)
from demo_models.training.publish import publish_family  # noqa: E402
from demo_models.training.text_encoder import TextReader  # noqa: E402
from obclip.schedule import NoiseSchedule  # noqa: E402

COUNT = 20
FACTOR = 0.5


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder as the recipe leaves it, of a few pictures and untrained networks."""
    folder = tmp_path_factory.mktemp("work")
    rng, data = np.random.default_rng(0), folder / "dataset"
    torch.manual_seed(0)
    data.mkdir()
    ids = build_tokenizer().encode("a portrait of an old man").ids
    np.save(data / "images_u8.npy", rng.integers(256, size=(COUNT, 128, 128, 3), dtype=np.uint8))
    np.save(data / "tokens.npy", np.tile(np.array(ids, np.uint16), (COUNT, 4, 1)))
    np.save(data / "attributes.npy", np.zeros((COUNT, len(VALUES)), np.uint8))
    np.save(data / "latents.npy", rng.standard_normal((COUNT, 8, 16, 16)).astype(np.float16))
    (data / "scaling_factor.txt").write_text(f"{FACTOR}\n")
    (data / "complete").touch()
    networks = {
        "autoencoder": architecture.autoencoder(),
        "decoder": architecture.autoencoder().decoder,
        "text_encoder": TextReader(),
        "cloud_unet": architecture.cloud_unet(),
        "device_unet": architecture.device_unet(),
        "classifier": architecture.AttributeClassifier(),
    }
    for name, network in networks.items():
        (folder / name).mkdir()
        torch.save(network.state_dict(), folder / name / "network.pt")
    return folder


@pytest.fixture(scope="module")
def inputs(work):
    networks = (work / name / "network.pt" for name in ("text_encoder", "autoencoder"))
    return Inputs(work / "dataset", work / "dataset", *networks)


@pytest.mark.parametrize("last_time", [1.0, 0.2])
def test_the_true_velocity_takes_all_noise_away(work, inputs, last_time):
    noisy_latents = NoisyLatents(inputs, last_time)
    rows = np.arange(COUNT)
    noisy, times, text, velocity = noisy_latents.batch(np.random.default_rng(1), rows)
    assert text.shape == (COUNT, 48, 128)
    assert len(times.unique()) == COUNT
    assert 0.8 * last_time < times.max() / 1000 < last_time
    clean = np.load(work / "dataset" / "latents.npy").astype(np.float32)
    rebuilt, noise = noisy_latents.parts(noisy, times, velocity)
    np.testing.assert_allclose(rebuilt, clean, atol=0.05)  # noisy latents are bfloat16
    torch.testing.assert_close(noisy_latents.noised(rebuilt, noise, times), noisy)


def test_the_device_learns_the_steps_after_a_hand_over_from_the_cloud(work, inputs):
    task = DeviceUnetTask(inputs, work / "cloud_unet" / "network.pt")
    task.network.to(torch.bfloat16)
    times = []
    task.network.register_forward_pre_hook(lambda _, words: times.extend(words[1].tolist()))
    loss, figures = task.loss(np.random.default_rng(0), COUNT)
    loss.backward()
    assert figures["data"] > 0
    assert task.network.conv_out.weight.grad.any()
    assert 0.9 * LATE_TIME < max(times) / 1000 < LATE_TIME


def test_the_decoder_alone_is_trained_again_and_published(work, inputs, tmp_path):
    device, judge = work / "device_unet" / "network.pt", work / "classifier" / "network.pt"
    task = DecoderTask(inputs, device, judge)
    decoder = load_autoencoder(inputs.autoencoder).decoder
    for name, weights in decoder.state_dict().items():
        assert torch.equal(task.network.state_dict()[name], weights), name
    task.network.to(torch.bfloat16)
    loss, figures = task.loss(np.random.default_rng(0), 4)
    loss.backward()
    assert np.isfinite(figures["psnr_db"])
    assert all(p.grad is not None and p.grad.any() for p in task.network.parameters())
    task.network.eval()
    with torch.no_grad():
        task.sample(task.network, tmp_path, 1)
    assert (tmp_path / "reconstructions-1.png").exists()


def test_the_decoder_learns_from_what_the_devices_guided_steps_leave(work, inputs):
    device, judge = work / "device_unet" / "network.pt", work / "classifier" / "network.pt"
    task = DecoderTask(inputs, device, judge)
    truth = torch.from_numpy(np.load(work / "dataset" / "latents.npy").astype(np.float32))
    alphas = torch.from_numpy(NoiseSchedule(**architecture.NOISE_SCHEDULE).alphas_cumprod())
    seen = []

    def velocity(noisy, times, text):
        """Knows the truth with the text, and without it thinks that all is noise."""
        seen.append((times, text))
        alpha = alphas[times].float()[:, None, None, None]
        alpha, sigma = alpha.sqrt(), (1 - alpha).sqrt()
        known = (alpha * noisy.float() - torch.cat([truth, truth])) / sigma
        blind = (alpha * noisy.float()) / sigma
        with_text = (GUIDANCE - 1) / GUIDANCE * blind + known / GUIDANCE
        return SimpleNamespace(sample=torch.cat([blind[:COUNT], with_text[COUNT:]]))

    task._device = velocity
    noise = NoisyLatents(inputs, LAST_TIME)
    noisy, times, text, _ = noise.batch(np.random.default_rng(1), np.arange(COUNT))
    torch.testing.assert_close(task._denoise(noisy, times, text), truth, atol=0.05, rtol=0)
    assert len(seen) == PASSES
    assert torch.equal(seen[0][0], times.repeat(2))
    assert (seen[-1][0] - times.repeat(2) / PASSES).abs().max() <= 1
    assert torch.equal(seen[0][1][COUNT:], text)
    assert torch.equal(seen[0][1], noise.pairs(text))
    empty = torch.tensor([build_tokenizer().encode("").ids])
    assert torch.equal(seen[0][1][:COUNT], noise.encode(empty).expand(COUNT, -1, -1))


def test_the_published_vae_has_the_autoencoders_encoder_and_the_last_decoder(work, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    publish_family(work, tmp_path)
    vae = diffusers.AutoencoderTiny.from_pretrained(tmp_path / "vae", variant="fp16")
    assert vae.config.scaling_factor == FACTOR
    for part, folder in (("encoder", "autoencoder"), ("decoder", "decoder")):
        trained = torch.load(work / folder / "network.pt", weights_only=True)
        for name, weights in getattr(vae, part).state_dict().items():
            wanted = trained.get(name, trained.get(f"{part}.{name}"))
            torch.testing.assert_close(weights, wanted.half().float(), msg=f"{part} {name}")

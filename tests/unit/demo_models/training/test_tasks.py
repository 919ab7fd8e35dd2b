"""The tasks of the recipe on a few random pictures with untrained networks."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from demo_models import architecture  # noqa: E402
from demo_models.portrait import VALUES  # noqa: E402
from demo_models.tokenizer import build_tokenizer  # noqa: E402
from demo_models.training.autoencoder import (  # noqa: E402
    LATENT_NOISE,
    AutoencoderTask,
    encode_dataset,
    load_autoencoder,
)
from demo_models.training.denoiser import (  # noqa: E402
    LATE_TIME,
    MOST_GUIDANCE,
    TEACHER_SHARE,
    DeviceUnetTask,
    Inputs,
    NoisyLatents,
)
from demo_models.training.publish import publish_family  # noqa: E402
from demo_models.training.text_encoder import TextReader  # noqa: E402
from obclip.schedule import NoiseSchedule  # noqa: E402

pytestmark = pytest.mark.timeout(240)  # a busy machine trains slowly

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
    names = ("text_encoder", "autoencoder")
    networks = (work / name / "network.pt" for name in names)
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
    alphas = NoiseSchedule(**architecture.NOISE_SCHEDULE).alphas_cumprod()[times]
    alpha, sigma = np.sqrt(alphas)[:, None, None, None], np.sqrt(1 - alphas)[:, None, None, None]
    rebuilt = alpha * noisy.float().numpy() - sigma * velocity.numpy()
    np.testing.assert_allclose(rebuilt, clean, atol=0.05)  # noisy latents are bfloat16


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


def test_guidance_multiplies_only_what_sets_the_devices_errors_of_a_pair_apart(work, inputs):
    task = DeviceUnetTask(inputs, work / "cloud_unet" / "network.pt")
    errors, seen = [1.0, 1.0], []

    def network(noisy, times, text):
        seen.append((noisy, times, text))
        error = torch.tensor(errors).repeat_interleave(COUNT)[:, None, None, None]
        return SimpleNamespace(sample=task._teacher(noisy, times, text).sample.float() + error)

    task.network = network

    def imitation():
        loss, figures = task.loss(np.random.default_rng(0), COUNT)
        return (float(loss) - (1 - TEACHER_SHARE) * figures["data"]) / TEACHER_SHARE

    assert imitation() == pytest.approx(1, abs=0.01)
    errors[0] = 0.0
    assert 1.5 < np.sqrt(imitation()) < MOST_GUIDANCE
    errors[:] = [1.0, 0.0]
    assert 1 < np.sqrt(imitation()) < MOST_GUIDANCE - 1
    noisy, times, text = seen[0]
    assert torch.equal(noisy[:COUNT], noisy[COUNT:])
    assert torch.equal(times[:COUNT], times[COUNT:])
    assert len(text[:COUNT].unique(dim=0)) == 1


@pytest.fixture(params=["first", "again"])
def autoencoder_task(request, work, tmp_path):
    """On a set without latents, and on one that has them already."""
    data = tmp_path / "data"
    shutil.copytree(work / "dataset", data)
    if request.param == "first":
        (data / "latents.npy").unlink()
    return AutoencoderTask(data, data, work / "classifier" / "network.pt")


def test_both_halves_of_the_autoencoder_learn(autoencoder_task, tmp_path):
    task = autoencoder_task
    task.network.to(torch.bfloat16)
    loss, figures = task.loss(np.random.default_rng(0), 4)
    loss.backward()
    assert np.isfinite(figures["psnr_db"])
    learning = {n.split(".")[0] for n, p in task.network.named_parameters() if p.grad.any()}
    assert learning == {"encoder", "decoder"}
    task.network.eval()
    with torch.no_grad():
        task.sample(task.network, tmp_path, 1)
    assert (tmp_path / "reconstructions-1.png").exists()


def test_the_decoder_sees_all_but_clean_latents(autoencoder_task):
    task, encoded, seen = autoencoder_task, [], []
    task.network.to(torch.bfloat16)
    task.network.encoder.register_forward_hook(lambda *words: encoded.append(words[2]))
    task.network.decoder.register_forward_pre_hook(lambda _, words: seen.append(words[0]))
    task.loss(np.random.default_rng(0), COUNT)
    noise = (seen[0].float() - encoded[0].float()).detach()
    assert float(noise.std()) == pytest.approx(LATENT_NOISE, rel=0.1)


def test_trained_again_it_holds_its_latents_near_those_the_denoisers_know(work, inputs, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(work / "dataset", data)
    encode_dataset(data, inputs.autoencoder)
    task = AutoencoderTask(data, data, work / "classifier" / "network.pt")
    task.network = load_autoencoder(inputs.autoencoder).to(torch.bfloat16)
    _, same = task.loss(np.random.default_rng(0), COUNT)
    with torch.no_grad():
        task.network.encoder.layers[-1].bias.add_(0.5)
    _, moved = task.loss(np.random.default_rng(0), COUNT)
    assert same["latents_off"] < 1e-4
    assert moved["latents_off"] == pytest.approx(0.25, rel=0.05)


def test_the_published_vae_is_the_trained_one(work, inputs, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    publish_family(work, tmp_path)
    vae = diffusers.AutoencoderTiny.from_pretrained(tmp_path / "vae", variant="fp16")
    assert vae.config.scaling_factor == FACTOR
    trained = load_autoencoder(inputs.autoencoder).state_dict()
    for name, weights in vae.state_dict().items():
        torch.testing.assert_close(weights, trained[name].half().float(), msg=name)

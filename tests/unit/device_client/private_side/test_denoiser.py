import numpy as np
import pytest
from numpy.typing import NDArray

from device_client.private_side.denoiser import Denoiser, DeviceShare
from device_client.private_side.text_encoder import TextEncoder
from device_client.tokenizer import Tokenizer
from obclip.noise import initial_latents
from obclip.solver import SolverState
from tests.fakes.tiny_bundle import TinyBundle

STEPS = 20


@pytest.fixture
def denoiser(tiny_bundle: TinyBundle) -> Denoiser:
    path = tiny_bundle.folder / "device_unet" / "model.onnx"
    return Denoiser(path, tiny_bundle.card.schedule, 1)


@pytest.fixture
def text(tiny_bundle: TinyBundle) -> NDArray[np.float32]:
    folder, facts = tiny_bundle.folder, tiny_bundle.card.text
    tokenizer = Tokenizer(
        folder / "tokenizer" / "tokenizer.json", facts.max_tokens, facts.pad_token_id
    )
    encoder = TextEncoder(folder / "text_encoder" / "model.onnx", tokenizer, 1)
    return encoder.encode(("", "a smiling woman"))


@pytest.fixture
def noise(tiny_bundle: TinyBundle) -> SolverState:
    return SolverState(initial_latents(3, 1, tiny_bundle.card.latents.shape))


def ignore(_step: int, _total: int) -> None:
    pass


def test_every_step_is_told_once(
    denoiser: Denoiser, text: NDArray[np.float32], noise: SolverState
) -> None:
    told: list[tuple[int, int]] = []
    denoiser.denoise(noise, text, DeviceShare(STEPS, 0, 2.5), lambda *step: told.append(step))
    assert told == [(step + 1, STEPS) for step in range(STEPS)]


def test_no_steps_leave_the_latents(
    denoiser: Denoiser, text: NDArray[np.float32], noise: SolverState
) -> None:
    latents = denoiser.denoise(noise, text, DeviceShare(STEPS, STEPS, 2.5), ignore)
    np.testing.assert_array_equal(latents, noise.latents)


def test_one_pass_a_step_equals_guidance_of_one(
    denoiser: Denoiser, text: NDArray[np.float32], noise: SolverState
) -> None:
    off = denoiser.denoise(noise, text, DeviceShare(STEPS, 0, 1.0), ignore)
    nearly_off = denoiser.denoise(noise, text, DeviceShare(STEPS, 0, 1.0 + 1e-6), ignore)
    np.testing.assert_allclose(off, nearly_off, atol=1e-4)


def test_a_scale_below_one_is_no_guidance_as_on_the_cloud(
    denoiser: Denoiser, text: NDArray[np.float32], noise: SolverState
) -> None:
    off, below = (
        denoiser.denoise(noise, text, DeviceShare(STEPS, 0, scale), ignore) for scale in (1.0, 0.5)
    )
    np.testing.assert_array_equal(off, below)


def test_guidance_matters(
    denoiser: Denoiser, text: NDArray[np.float32], noise: SolverState
) -> None:
    weak = denoiser.denoise(noise, text, DeviceShare(STEPS, 0, 1.0), ignore)
    strong = denoiser.denoise(noise, text, DeviceShare(STEPS, 0, 5.0), ignore)
    assert np.abs(weak - strong).max() > 0.01

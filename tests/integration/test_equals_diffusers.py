"""The headline: device and cloud over gRPC and Triton equal diffusers in one process."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_client.client import ObCLIP
from obclip.card import CARD_FILE, ModelCard, digest_bundle
from tests.integration.served import served

pytest.importorskip("torch", reason="torch (the export extra) is not installed")
pytest.importorskip("diffusers", reason="diffusers (the export extra) is not installed")

from tests.integration.one_process import OneProcess, Request

FAMILY = Path(__file__).parents[2] / "demo_models" / "weights"
# Canonical wording: the device's own words and the cloud's candidate are the same text.
PROMPT = "a portrait of an old asian woman wearing glasses, smiling, in a forest"
SEED = 20
STEPS = 25

pytestmark = [
    pytest.mark.triton,
    pytest.mark.timeout(240),
    # diffusers and transformers warn about their own deprecations and type hints
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(FAMILY) as where:
        yield where


@pytest.fixture(scope="module")
def reference() -> OneProcess:
    return OneProcess(FAMILY)


@pytest.mark.parametrize("switch_point", [0, 1, 5, 10, 24, 25])
def test_the_whole_system_equals_diffusers_in_one_process(
    address: str, reference: OneProcess, switch_point: int
) -> None:
    request = Request(STEPS, switch_point, 2.5, SEED)
    with ObCLIP.connect(address) as obclip:
        result = obclip.generate(
            PROMPT,
            seed=SEED,
            steps=STEPS,
            guidance_scale=request.guidance_scale,
            switch_point=switch_point,
            profile="bare",
            keep_cloud_batch=True,
        )
        candidates = obclip.preview(PROMPT).candidates()
    assert PROMPT in candidates
    assert result.cloud_batch is not None
    expected = reference.cloud(candidates, request)
    error = np.linalg.norm(result.cloud_batch.latents - expected) / np.linalg.norm(expected)
    assert error <= 1e-3
    difference = np.asarray(result.image).astype(int) - reference.image(PROMPT, request)
    assert np.abs(difference).max() <= 2


@pytest.fixture(scope="module")
def same_model_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twice") / "bundle"
    shutil.copytree(FAMILY, folder, ignore=shutil.ignore_patterns("device_unet"))
    shutil.copytree(FAMILY / "unet", folder / "device_unet")
    card = ModelCard.load(FAMILY)
    exact = replace(card.latents, wire_type="float32")
    card = replace(card, models=digest_bundle(folder, "twice"), latents=exact)
    (folder / CARD_FILE).write_text(card.to_json())
    return folder


def test_with_one_model_on_both_sides_the_image_does_not_depend_on_the_switch_point(
    same_model_twice: Path,
) -> None:
    with served(same_model_twice) as address, ObCLIP.connect(address, same_model_twice) as obclip:
        images = [
            np.asarray(obclip.generate(PROMPT, seed=SEED, switch_point=k, profile="bare").image)
            for k in (0, 1, 5, 10, 24, 25)
        ]
    for image in images[1:]:
        assert np.abs(image.astype(int) - images[0]).max() <= 2

"""Every family, exported and served: bare as in diffusers, and every profile as its plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from cloud_service.export.program import export
from cloud_service.service import running_service
from cloud_service.settings import Settings
from device_client.client import ObCLIP
from device_client.report import GenerationResult
from obclip.card import ModelCard
from obclip.plan import STEP_KIND_GRAPHS, STEP_KINDS, Plan, Profile, make_plan, plan_cost
from tests.fakes.mock_triton import models_of, running_mock_triton

pytest.importorskip("torch", reason="torch (the export extra) is not installed")
pytest.importorskip("diffusers", reason="diffusers (the export extra) is not installed")

from cloud_service.export.tensorrt import MAX_ERROR
from cloud_service.export.tensorrt_engines import build_all, read_orders
from tests.fakes.recorded_tensorrt import RecordedTensorrt
from tests.fakes.tiny_pipeline import Tiny, save_tiny_pair
from tests.integration.engine_parts import (
    error_in_half,
    require_same_text_encoder,
    require_served,
    require_static_profiles,
    require_typed_half,
)
from tests.integration.family_reference import FamilyReference
from tests.integration.planned_reference import Asked, PlannedReference

PROMPT = "an old man with glasses"
SEED, SCALE = 11, 3.0
MAX_ERROR_OF_PLAN = 1e-3
# From the bare run's latents, over their norm. Random UNets gave 0.006 to 0.153, the largest with
# guidance 3 on an LCM; independent latents are 1.4 apart.
FARTHEST = 0.2
SD = Tiny(prediction_type="epsilon", layers=1)
SDXL = replace(SD, is_xl=True)
FAMILIES: dict[str, tuple[Tiny, dict[str, Any]]] = {
    "SD epsilon": (replace(SD, layers=2), {}),
    "SD v": (replace(SD, prediction_type="v_prediction", spacing="trailing"), {}),
    "SD, device with a text encoder of its own": (
        replace(SD, spacing="linspace"),
        {"shared_seed": 5},
    ),
    "SDXL": (SDXL, {}),
    "LCM": (replace(SD, is_lcm=True, embeds_guidance=True), {}),
    "LCM with guidance of two passes": (replace(SD, is_lcm=True), {}),
    "LCM-SDXL": (replace(SDXL, is_lcm=True, embeds_guidance=True), {"spacing": "trailing"}),
}
pytestmark = [
    pytest.mark.slow,  # each family is exported
    pytest.mark.timeout(1800),
    # diffusers and transformers warn about their own deprecations and type hints
    pytest.mark.filterwarnings("default"),
]


@dataclass(frozen=True)
class Family:
    """A family on disk: what it was made of, and the bundle."""

    cloud: Path
    device: Path
    bundle: Path

    @property
    def card(self) -> ModelCard:
        return ModelCard.load(self.bundle)

    @property
    def steps(self) -> int:
        return 4 if self.card.distillation else 6

    @property
    def long_run(self) -> tuple[int, int]:
        """Steps and switch point; at 12 and 10 the paper's plan needs all of its step kinds.

        A distilled random UNet leaves the norms that a device accepts before that.
        """
        return (8, 5) if self.card.distillation else (12, 10)

    @property
    def switch_points(self) -> tuple[int, ...]:
        return 0, 2, self.steps


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp("family")
    tiny, of_device = FAMILIES[request.param]
    cloud, device = save_tiny_pair(folder, tiny, **of_device)
    words: list[str | Path] = ["--family", "tiny", "--wire-type", "float32", "--licence", "CC0-1.0"]
    words += ["--shift", "2", "--device-steps", "9"] if tiny.is_lcm else []
    words += ["--vae", "cloud"] if "shared_seed" in of_device else []
    made = Family(cloud, device, folder / "bundle")
    _export(made, *words)
    if "shared_seed" in of_device:  # a reference with the VAE that the operator chose
        _take_vae(cloud, device)
    return made


def _export(family: Family, *words: str | Path) -> None:
    app = typer.Typer()
    app.command()(export)
    places = ["--cloud", family.cloud, "--device", family.device, "--out", family.bundle]
    result = CliRunner().invoke(app, [str(word) for word in (*places, *words)])
    assert result.exit_code == 0, result.exception


async def test_the_whole_system_equals_diffusers_at_any_switch_point(family: Family) -> None:
    reference = FamilyReference(family.cloud, family.device, family.card)
    images = await _served(family, _bare_images)
    for switch_point, image in zip(family.switch_points, images, strict=True):
        wanted = reference.image(PROMPT, family.steps, switch_point, SCALE, SEED)
        assert np.ptp(wanted) > 20
        assert np.abs(image.astype(int) - wanted).max() <= 2
    # Without a device the pipeline itself is what there is to equal.
    whole = reference.whole(PROMPT, family.steps, SCALE, SEED)
    assert np.abs(images[-1].astype(int) - whole).max() <= 2
    assert np.abs(images[0].astype(int) - images[-1]).max() > 8


async def test_every_profile_is_its_plan_on_the_families_own_pipeline(family: Family) -> None:
    prompts, results = await _served(family, _all_profiles)
    reference = PlannedReference(family.cloud)
    asked, kinds = Asked(prompts, family.long_run[0], SCALE, SEED), family.card.step_kinds
    bare = _latents(results[Profile.BARE])
    evals_of_bare = plan_cost(_plan(family, Profile.BARE), len(prompts), kinds).evals
    for profile, result in results.items():
        plan, cloud = _plan(family, profile), result.report.cloud
        assert cloud is not None
        assert result.report.profile == profile
        assert cloud.evals == pytest.approx(plan_cost(plan, len(prompts), kinds).evals)
        wanted = reference.latents(plan, asked)
        latents = _latents(result)
        assert _error(latents, wanted) <= MAX_ERROR_OF_PLAN
        if profile is not Profile.BARE:
            assert cloud.evals < evals_of_bare
            assert FARTHEST / 100 < _error(latents, bare) < FARTHEST


async def test_without_cloud_steps_no_profile_changes_anything(family: Family) -> None:
    images = await _served(family, _device_alone)
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])


def test_for_tensorrt_all_is_there_but_the_engines(family: Family, tmp_path: Path) -> None:
    before = ModelCard.load(family.bundle)
    repository = tmp_path / "triton"
    words = ["--runtime", "tensorrt", "--candidates", "2,6", "--triton-models", repository]
    _export(family, *words)
    assert ModelCard.load(family.bundle) == before
    kinds = {kind.name for kind in before.step_kinds}
    orders = read_orders(tmp_path / "triton_graphs" / "engines.json")
    assert {order.name for order in orders} == kinds == set(STEP_KINDS)
    for order in orders:
        require_served(order, repository)
        require_static_profiles(order, kinds, (2, 6), is_told=_is_told(family.card))
        require_typed_half(order.graph)
        full = family.bundle / STEP_KIND_GRAPHS[order.name]
        for profile in (order.profiles[0], order.profiles[-1]):  # the smallest, and the general one
            assert error_in_half(full, order.graph, profile) < MAX_ERROR
    require_same_text_encoder(family.bundle / "text_encoder", repository / "text_encoder")
    trt = RecordedTensorrt()
    build_all(trt, orders, 1 << 30, lambda _line: None)
    built = [call for call in trt.record if call[0] == "build"]
    assert built == [("build", len(order.profiles)) for order in orders]
    assert all(order.engine.read_bytes() == b"engine" for order in orders)


def _is_told(card: ModelCard) -> bool:
    return card.distillation is not None and card.distillation.embeds_guidance


def _plan(family: Family, profile: Profile) -> Plan:
    plan = make_plan(*family.long_run, profile)
    return plan.without_guidance() if _is_told(family.card) else plan


def _latents(result: GenerationResult) -> NDArray[np.float32]:
    assert result.cloud_batch is not None
    return result.cloud_batch.latents


def _error(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


Answer = TypeVar("Answer")


async def _served(family: Family, use: Callable[[ObCLIP, Family], Answer]) -> Answer:
    """What a client of the family's service gets."""
    models = models_of(family.bundle / "triton_models")
    async with running_mock_triton(models) as triton:
        settings: dict[str, Any] = {"bundle": family.bundle, "triton_url": triton.url}
        settings |= {"listen": "127.0.0.1:0", "shutdown_grace_s": 0, "profiles": tuple(Profile)}
        async with running_service(Settings(**settings)) as service:
            return await asyncio.to_thread(_use, service.address, family, use)


def _use(address: str, family: Family, use: Callable[[ObCLIP, Family], Answer]) -> Answer:
    with ObCLIP.connect(address, family.bundle, threads=1, timeout_s=600) as obclip:
        return use(obclip, family)


def _bare_images(obclip: ObCLIP, family: Family) -> list[NDArray[np.uint8]]:
    assert PROMPT in obclip.preview(PROMPT).candidates()
    return [
        np.asarray(_generate(obclip, family.steps, switch_point, Profile.BARE).image)
        for switch_point in family.switch_points
    ]


def _all_profiles(
    obclip: ObCLIP, family: Family
) -> tuple[tuple[str, ...], dict[Profile, GenerationResult]]:
    return obclip.preview(PROMPT).candidates(), {
        profile: _generate(obclip, *family.long_run, profile) for profile in Profile
    }


def _device_alone(obclip: ObCLIP, family: Family) -> list[NDArray[np.uint8]]:
    results = [_generate(obclip, family.steps, 0, profile) for profile in Profile]
    assert all(result.report.cloud is None for result in results)  # nothing was sent
    return [np.asarray(result.image) for result in results]


def _generate(obclip: ObCLIP, steps: int, switch_point: int, profile: Profile) -> GenerationResult:
    return obclip.generate(
        PROMPT,
        seed=SEED,
        steps=steps,
        guidance_scale=SCALE,
        switch_point=switch_point,
        profile=profile,
        keep_cloud_batch=True,
    )


def _take_vae(cloud: Path, device: Path) -> None:
    for file in (cloud / "vae").iterdir():
        (device / "vae" / file.name).write_bytes(file.read_bytes())

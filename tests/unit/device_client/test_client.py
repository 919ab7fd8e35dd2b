import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from device_client.client import ObCLIP
from obclip.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelMismatch,
    PromptRefused,
    ServiceUnreachable,
    TooManyCandidates,
    WireError,
)
from obclip.v1 import service_card_pb2
from tests.fakes.faults import stall_after
from tests.fakes.scripted_service import (
    LIMITS,
    HonestCloud,
    Request,
    Response,
    ScriptedService,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle, write_tiny_bundle

PROMPT = "a portrait of an old woman with glasses"
STEPS = 25


@pytest.fixture
def service(tiny_bundle: TinyBundle, cloud: HonestCloud) -> Iterator[ScriptedService]:
    with scripted_service(cloud, service_card(tiny_bundle)) as running:
        yield running


@pytest.fixture
def obclip(service: ScriptedService, tiny_bundle: TinyBundle) -> Iterator[ObCLIP]:
    with ObCLIP.connect(service.address, tiny_bundle.folder) as connected:
        yield connected


def pixels(result: object) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(result.image, dtype=np.int16)  # type: ignore[attr-defined]


def test_a_picture_and_its_report(obclip: ObCLIP) -> None:
    result = obclip.generate(PROMPT, seed=5)
    assert (result.image.mode, result.image.size) == ("RGB", (64, 64))
    assert result.sheet is None
    assert result.cloud_batch is None
    report = json.loads(result.report.to_json())
    assert report["seed"] == 5
    assert (report["steps"], report["switch_point"], report["profile"]) == (25, 10, "balanced")
    assert report["cloud"]["candidates"] == 6
    assert report["cloud"]["attributes"] == ["gender", "age"]
    assert report["cloud"]["evals"] == 2 * 6 * 10
    assert report["cloud"]["batch_sizes"] == [12] * 10
    assert report["cloud"]["received_bytes"] > 2 * 6 * 4 * 8 * 8 * 4
    assert report["device_s"] > 0


def test_a_seed_gives_the_same_picture_again(obclip: ObCLIP) -> None:
    first, again = (obclip.generate(PROMPT, seed=5) for _ in range(2))
    assert (pixels(first) == pixels(again)).all()
    assert (pixels(first) != pixels(obclip.generate(PROMPT, seed=6))).any()


def test_the_report_names_the_seed_that_was_drawn(obclip: ObCLIP) -> None:
    first = obclip.generate(PROMPT)
    again = obclip.generate(PROMPT, seed=first.report.seed)
    assert (pixels(first) == pixels(again)).all()


def test_every_candidate_gets_its_own_picture(obclip: ObCLIP) -> None:
    pictures = {
        obclip.generate(f"a portrait of {who} with glasses", seed=5).image.tobytes()
        for who in ("a young woman", "an old woman", "a young man", "an old man")
    }
    assert len(pictures) == 4


@pytest.mark.parametrize("switch_point", [0, 1, 5, 10, 24, 25])
def test_with_one_model_on_both_sides_the_switch_point_does_not_matter(
    one_unet_bundle: TinyBundle, one_unet_cloud: HonestCloud, switch_point: int
) -> None:
    with (
        scripted_service(one_unet_cloud, service_card(one_unet_bundle)) as service,
        ObCLIP.connect(service.address, one_unet_bundle.folder) as connected,
        ObCLIP.offline(one_unet_bundle.folder) as alone,
    ):
        hybrid = connected.generate(PROMPT, seed=5, switch_point=switch_point)
        device = alone.generate(PROMPT, seed=5)
    assert np.abs(pixels(hybrid) - pixels(device)).max() <= 1


def test_progress_is_told_in_order(obclip: ObCLIP) -> None:
    told: list[tuple[str, int, int]] = []
    obclip.generate(PROMPT, steps=5, switch_point=2, on_progress=lambda *event: told.append(event))
    cloud = [("cloud", 1, 2), ("cloud", 2, 2)]
    device = [("device", 1, 3), ("device", 2, 3), ("device", 3, 3)]
    assert told == [("queue", 0, 0), *cloud, *device]


def test_the_usual_share_of_other_numbers_of_steps(obclip: ObCLIP) -> None:
    assert obclip.generate(PROMPT, steps=10).report.switch_point == 4


def test_the_devices_guidance_stays_on_the_device(obclip: ObCLIP, service: ScriptedService) -> None:
    usual = obclip.generate(PROMPT, seed=5)
    own = obclip.generate(PROMPT, seed=5, device_guidance_scale=1.0)
    assert (pixels(usual) != pixels(own)).any()
    _card, first, second = service.wait_for_calls(3)
    assert first == second


def test_the_sheet_and_the_batch_come_when_asked_for(obclip: ObCLIP) -> None:
    result = obclip.generate(PROMPT, seed=5, sheet=True, keep_cloud_batch=True)
    assert result.sheet is not None
    assert result.cloud_batch is not None
    assert result.cloud_batch.latents.shape == (6, 4, 8, 8)


def test_unknown_words_are_named_to_the_user_alone(obclip: ObCLIP) -> None:
    result = obclip.generate("an old woman with a zebra", seed=5)
    assert result.unknown_words == ("zebra",)
    assert "zebra" not in result.report.to_json()


def test_the_card_of_the_service(obclip: ObCLIP, tiny_bundle: TinyBundle) -> None:
    assert obclip.service_card == service_card(tiny_bundle)
    assert ObCLIP.offline(tiny_bundle.folder).service_card is None


def test_offline_needs_no_transformation_and_says_so(tiny_bundle: TinyBundle) -> None:
    result = ObCLIP.offline(tiny_bundle.folder).generate("a zebra and its grandmother", seed=1)
    assert result.report.cloud is None
    assert result.report.switch_point == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 101}, "steps"),
        ({"switch_point": -1}, "switch_point"),
        ({"switch_point": 26}, "switch_point"),
        ({"guidance_scale": float("nan")}, "guidance_scale"),
        ({"seed": -1}, "seed"),
        ({"profile": "turbo"}, "profile"),
        ({"negative_prompt": "garden " * 60}, "negative_prompt"),
        ({"device_guidance_scale": float("inf")}, "device_guidance_scale"),
        ({"max_candidates": 1}, "max_candidates"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_sent(
    obclip: ObCLIP, service: ScriptedService, options: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}"):
        obclip.generate(PROMPT, **options)  # type: ignore[arg-type]
    assert [call.method for call in service.wait_for_calls(1)] == ["GetServiceCard"]


@pytest.mark.parametrize("prompt", ["", "  \n "])
def test_an_empty_prompt_is_refused(obclip: ObCLIP, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^prompt: .*empty"):
        obclip.generate(prompt)


def test_an_overlong_prompt_is_cut(obclip: ObCLIP, service: ScriptedService) -> None:
    report = obclip.generate("an old man " + "in a garden " * 30, seed=5).report
    assert report.cloud is not None
    assert report.cloud.is_cut
    sent = Request.FromString(service.wait_for_calls(2)[1].request).candidates
    assert len(sent) == 6
    assert max(len(text.split()) for text in sent) <= 38


def test_a_service_cannot_have_the_set_cut_in_its_own_way(
    tiny_bundle: TinyBundle, cloud: HonestCloud
) -> None:
    """With blocks, two cuts of one prompt leave what is in both, which may be one candidate."""
    prompt = "a portrait of an old woman with glasses at the beach, she is african"
    for limit in (10, 12, 14, 16):
        card = service_card(tiny_bundle, replace(LIMITS, max_prompt_tokens=limit))
        with (
            scripted_service(cloud, card) as service,
            ObCLIP.connect(service.address, tiny_bundle.folder) as connected,
        ):
            with pytest.raises(InvalidRequest, match=r"^prompt: .*tokens"):
                connected.generate(prompt, max_candidates=4)
            assert [call.method for call in service.transcript] == ["GetServiceCard"]


def test_without_a_step_of_the_cloud_nothing_is_sent(
    obclip: ObCLIP, service: ScriptedService, tiny_bundle: TinyBundle
) -> None:
    here = obclip.generate(PROMPT, seed=5, switch_point=0)
    assert here.report.cloud is None
    assert [call.method for call in service.transcript] == ["GetServiceCard"]
    alone = ObCLIP.offline(tiny_bundle.folder).generate(PROMPT, seed=5)
    assert (pixels(here) == pixels(alone)).all()
    with pytest.raises(InvalidRequest, match=r"^sheet"):
        obclip.generate(PROMPT, switch_point=0, sheet=True)


def test_few_steps_leave_the_cloud_one(obclip: ObCLIP) -> None:
    assert obclip.generate(PROMPT, steps=1).report.switch_point == 1


def test_what_cannot_be_hidden_has_no_sheet(obclip: ObCLIP) -> None:
    result = obclip.generate("<lora:face:1> an old woman", on_unknown="device-only", sheet=True)
    assert result.sheet is None
    assert result.report.refusal is not None


@pytest.mark.parametrize(("repeats", "is_cut"), [(1, False), (30, True)])
def test_words_that_the_devices_text_encoder_cannot_take_are_told(
    tiny_bundle: TinyBundle, repeats: int, is_cut: bool
) -> None:
    result = ObCLIP.offline(tiny_bundle.folder).generate("a man" + " in a garden" * repeats)
    assert result.are_words_cut is is_cut


def test_an_overlong_negative_prompt_is_refused(obclip: ObCLIP) -> None:
    with pytest.raises(InvalidRequest, match=r"^negative_prompt: .*tokens"):
        obclip.generate(PROMPT, negative_prompt="a garden " * 30)


def test_what_cannot_be_hidden_is_refused_or_stays_here(
    obclip: ObCLIP, service: ScriptedService
) -> None:
    refused = "<lora:face:1> an old woman"
    with pytest.raises(PromptRefused):
        obclip.generate(refused)
    report = obclip.generate(refused, on_unknown="device-only").report
    assert (report.cloud, report.switch_point) == (None, 0)
    assert report.refusal is not None
    assert [call.method for call in service.transcript] == ["GetServiceCard"]


def test_an_option_that_does_not_exist_is_a_type_error(obclip: ObCLIP) -> None:
    with pytest.raises(TypeError, match="step_count"):
        obclip.generate(PROMPT, step_count=3)  # type: ignore[call-arg]


def test_more_candidates_than_the_service_takes(
    tiny_bundle: TinyBundle, cloud: HonestCloud
) -> None:
    card = service_card(tiny_bundle, replace(LIMITS, max_candidates=5))
    with (
        scripted_service(cloud, card) as service,
        ObCLIP.connect(service.address, tiny_bundle.folder) as connected,
        pytest.raises(TooManyCandidates),
    ):
        connected.generate(PROMPT)


def test_what_cannot_be_hidden_is_refused(obclip: ObCLIP, service: ScriptedService) -> None:
    with pytest.raises(PromptRefused):
        obclip.generate("a \u0436\u0435\u043d\u0449\u0438\u043d\u0430 woman")
    assert len(service.wait_for_calls(1)) == 1


def test_candidates_that_the_family_cannot_tell_apart_are_refused(
    obclip: ObCLIP, service: ScriptedService
) -> None:
    with pytest.raises(PromptRefused, match="apart"):
        obclip.generate("a prince in a garden")  # prince and princess are both unknown words
    assert len(service.wait_for_calls(1)) == 1


def test_a_preview_sends_nothing(obclip: ObCLIP, service: ScriptedService) -> None:
    assert PROMPT in obclip.preview(PROMPT).candidates()
    assert len(service.wait_for_calls(1)) == 1


def test_a_closed_connection_says_so(service: ScriptedService, tiny_bundle: TinyBundle) -> None:
    with ObCLIP.connect(service.address, tiny_bundle.folder) as obclip:
        pass
    with pytest.raises(InvalidRequest, match="connection: is closed; connect again"):
        obclip.generate(PROMPT)


@pytest.mark.parametrize(
    "option", [{"steps": 25.5}, {"switch_point": 2.5}, {"seed": 1.5}, {"max_candidates": 2.5}]
)
def test_half_a_step_is_refused(obclip: ObCLIP, option: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=f"{next(iter(option))}: is no whole number"):
        obclip.generate(PROMPT, **option)  # type: ignore[arg-type]


def test_steps_that_no_schedule_has_are_refused_before_anything_is_sent(
    tiny_bundle: TinyBundle, cloud: HonestCloud
) -> None:
    card = service_card(tiny_bundle, limits=replace(LIMITS, max_steps=999))
    with scripted_service(cloud, card) as service:
        with (
            ObCLIP.connect(service.address, tiny_bundle.folder) as obclip,
            pytest.raises(InvalidRequest, match="steps: is 999, for which"),
        ):
            obclip.generate(PROMPT, steps=999, switch_point=1)
        assert len(service.wait_for_calls(1)) == 1


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_bytes_that_are_no_text_are_told_where_no_transformation_reads_them(
    tiny_bundle: TinyBundle, field: str
) -> None:
    words = {"prompt": "an old woman", "negative_prompt": "rain"} | {field: "rain\udcff"}
    with (
        ObCLIP.offline(tiny_bundle.folder) as obclip,
        pytest.raises(InvalidRequest, match=f"{field}: holds bytes that are no UTF-8 text"),
    ):
        obclip.generate(words["prompt"], negative_prompt=words["negative_prompt"], steps=2)


def test_nobody_there_names_the_address(tiny_bundle: TinyBundle) -> None:
    with pytest.raises(ServiceUnreachable, match="localhost:1;"):
        ObCLIP.connect("localhost:1", tiny_bundle.folder)


def test_a_service_with_other_models_is_refused(
    tiny_bundle: TinyBundle, cloud: HonestCloud, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=9)
    with (
        scripted_service(cloud, service_card(other)) as service,
        pytest.raises(ModelMismatch, match="cloud_unet"),
    ):
        ObCLIP.connect(service.address, tiny_bundle.folder)


def test_a_card_that_is_none_is_broken_data(tiny_bundle: TinyBundle, cloud: HonestCloud) -> None:
    with (
        scripted_service(cloud, service_card_pb2.ServiceCard()) as service,
        pytest.raises(WireError, match="card"),
    ):
        ObCLIP.connect(service.address, tiny_bundle.folder)


def test_the_deadline_ends_a_stalling_service(tiny_bundle: TinyBundle, cloud: HonestCloud) -> None:
    with (
        scripted_service(cloud, service_card(tiny_bundle), stall_after(2)) as service,
        ObCLIP.connect(service.address, tiny_bundle.folder, timeout_s=2.0) as connected,
        pytest.raises(DeadlineExceeded),
    ):
        connected.generate(PROMPT)


@pytest.mark.parametrize(
    ("timeout_s", "shortest", "longest"), [(None, 700, 720), (900.0, 890, 910)]
)
def test_without_a_limit_of_its_own_a_device_waits_as_long_as_the_card_allows(
    tiny_bundle: TinyBundle,
    cloud: HonestCloud,
    timeout_s: float | None,
    shortest: float,
    longest: float,
) -> None:
    left: list[float] = []

    def tell(
        _request: Request, responses: Iterable[Response], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        left.append(context.time_remaining())
        yield from responses

    card = service_card(tiny_bundle, replace(LIMITS, request_timeout_s=700))
    with (
        scripted_service(cloud, card, tell) as service,
        ObCLIP.connect(service.address, tiny_bundle.folder, timeout_s=timeout_s) as connected,
    ):
        connected.generate(PROMPT)
    assert shortest < left[0] < longest  # gRPC rounds up on its way


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wait_without_bound_is_refused(tiny_bundle: TinyBundle, timeout_s: float) -> None:
    with pytest.raises(InvalidRequest, match="timeout"):
        ObCLIP.connect("localhost:1", tiny_bundle.folder, timeout_s=timeout_s)


@pytest.mark.parametrize("phase", ["queue", "cloud", "device"])
def test_ctrl_c_in_any_phase_frees_the_service(
    obclip: ObCLIP, service: ScriptedService, phase: str
) -> None:
    def interrupt(now: str, _step: int, _total: int) -> None:
        if now == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obclip.generate(PROMPT, on_progress=interrupt)
    assert len(service.wait_for_calls(2)) == 2


def test_the_device_imports_neither_torch_nor_the_cloud() -> None:
    code = "import device_client.client, device_client.commands.group, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "tritonclient", "cloud_service", "diffusers", "transformers"}

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obclip import card
from obclip.card import (
    CachedTensor,
    Defaults,
    ImageFormat,
    LatentFormat,
    Limits,
    ModelCard,
    ModelDigests,
    ServiceCard,
    StepKindCost,
    TextFormat,
    digest_bundle,
    digest_folder,
    sha256_file,
)
from obclip.errors import InvalidBundle, ModelMismatch, WireError
from obclip.lcm import Distillation
from obclip.plan import Profile
from obclip.schedule import NoiseSchedule
from obclip.tensors import encode
from obclip.v1 import generation_pb2
from obclip.v1 import service_card_pb2 as pb

SCHEDULE = NoiseSchedule(
    1000, 0.00085, 0.012, "scaled_linear", "v_prediction", "trailing", 0, "zero"
)
LIMITS = Limits(
    max_candidates=30,
    max_prompt_bytes=400,
    max_prompt_tokens=40,
    max_steps=50,
    max_guidance_scale=20.0,
    max_queue=8,
    request_timeout_s=120,
)
STEP_KINDS = (StepKindCost("unet_full", 0.9, 123_456_789_012, 0.1, 12_345_678_901),)
LATENTS = LatentFormat(8, 16, 16, "float16")


def digests(**changes):
    values = {part: hashlib.sha256(part.encode()).hexdigest() for part in card.FOLDERS}
    return ModelDigests(**{"family": "obclip-portraits"} | values | changes)


DISTILLATION = Distillation(
    original_steps=50, timestep_scaling=10.0, embeds_guidance=True, device_steps=25, shift=8
)


def model_card(models=None):
    return ModelCard(
        models=models or digests(),
        latents=LATENTS,
        image=ImageFormat(128, 128),
        schedule=SCHEDULE,
        text=TextFormat(40, 0, 64, 0),
        step_kinds=STEP_KINDS,
        cached_tensors=(CachedTensor("feature", (96, 16, 16)),),
        licence="Apache-2.0",
        defaults=Defaults(25, 4.0, 10),
        device_text=None,
        distillation=None,
    )


def service_card(**changes):
    values = {
        "service_version": "0.1.0",
        "models": digests(),
        "latents": LATENTS,
        "scheduler": SCHEDULE,
        "limits": LIMITS,
        "profiles": (Profile.BARE,),
        "step_kinds": STEP_KINDS,
    }
    return ServiceCard(**values | changes)


@pytest.fixture
def bundle(tmp_path):
    for folder in card.FOLDERS.values():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps({"of": folder}))
        (tmp_path / folder / "model.safetensors").write_bytes(folder.encode() * 100)
    models = digest_bundle(tmp_path, "obclip-portraits")
    (tmp_path / "card.json").write_text(model_card(models).to_json())
    return tmp_path


# --- the model card -----------------------------------------------------------------------------


def test_a_model_card_survives_json():
    assert ModelCard.from_json(model_card().to_json()) == model_card()


def test_whole_numbers_do_for_fractions_in_json():
    value = json.loads(model_card().to_json())
    value["defaults"]["guidance_scale"] = 4
    assert ModelCard.from_json(json.dumps(value)) == model_card()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("latents", "height"), 0, "height is outside 1..1024"),
        (("latents", "height"), 10**9, "height is outside 1..1024"),
        (("latents", "height"), 16.0, "card.latents.height is no int"),
        (("latents", "height"), True, "card.latents.height is no int"),
        (("latents", "wire_type"), "float64", "wire_type is neither"),
        (("latents",), [8, 16, 16], "card.latents is no object"),
        (("models", "cloud_unet"), "A" * 64, "cloud_unet is not a SHA-256"),
        (("models", "family"), "a\nb", "family is not"),
        (("schedule", "prediction_type"), "sample", "prediction_type is none of"),
        (("schedule", "beta_end"), float("nan"), "betas break"),
        (("text", "max_tokens"), 2, "max_tokens is outside"),
        (("step_kinds",), [], "step_kinds are none"),
        (("step_kinds",), {}, "card.step_kinds is no list"),
        (("step_kinds", 0, "evals"), 0, "evals is outside"),
        (("licence",), "", "licence is not"),
        (("defaults", "switch_point"), 26, "switch_point is outside 0..25"),
        (("defaults", "steps"), 1000, "not below schedule.num_train_timesteps"),
        (("extra",), 1, "card must have exactly models, latents"),
    ],
)
def test_a_card_with_one_bad_value_is_refused_by_name(path, value, words):
    content = json.loads(model_card().to_json())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=words):
        ModelCard.from_json(json.dumps(content))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ModelCard)])
def test_a_card_without_one_of_its_fields_is_refused(name):
    content = json.loads(model_card().to_json())
    del content[name]
    with pytest.raises(ValueError, match="card must have exactly"):
        ModelCard.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "card.json: Expecting value"),
        (b"\xff\xfe", "codec"),
        (b" " * (1 << 20) + b" ", "1 MiB"),
    ],
    ids=["empty", "not-utf8", "too-large"],
)
def test_a_file_that_is_no_card_is_refused_with_its_path(tmp_path, content, words):
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(InvalidBundle, match=words) as caught:
        ModelCard.load(tmp_path)
    assert caught.value.path == str(tmp_path / "card.json")


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(InvalidBundle, match="No such file"):
        ModelCard.load(tmp_path)


# --- digests ------------------------------------------------------------------------------------


def test_the_digest_of_a_file_is_that_of_sha256sum(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "abc") == expected


def test_the_digest_of_a_folder_is_that_of_its_sorted_lines(tmp_path):
    names = ["a/model.safetensors", "b.json", "c.onnx"]
    (tmp_path / "a").mkdir()
    for name in reversed(names):
        (tmp_path / name).write_text(name)
    lines = [f"{name} {sha256_file(tmp_path / name)}\n" for name in names]
    assert digest_folder(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_notes_beside_a_model_do_not_change_its_digest(bundle):
    before = digest_folder(bundle / "unet")
    (bundle / "unet" / "README.md").write_text("words")
    assert digest_folder(bundle / "unet") == before


def test_a_whole_bundle_verifies(bundle):
    ModelCard.load(bundle).verify(bundle)


@pytest.mark.parametrize("folder", card.FOLDERS.values())
@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_one_changed_byte_is_found_and_its_folder_named(bundle, folder, file):
    path = bundle / folder / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelMismatch, match=rf"^folder {folder}: ") as caught:
        ModelCard.load(bundle).verify(bundle)
    assert caught.value.ours == digest_folder(bundle / folder)


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_a_file_added_removed_or_renamed_is_found(bundle, change):
    path = bundle / "unet" / "config.json"
    if change == "added":
        (bundle / "unet" / "more.json").write_text("{}")
    elif change == "removed":
        path.unlink()
    else:
        path.rename(path.with_name("other.json"))
    with pytest.raises(ModelMismatch, match="folder unet"):
        ModelCard.load(bundle).verify(bundle)


def test_a_device_without_the_cloud_unet_verifies_the_parts_that_it_has(bundle):
    (bundle / "unet" / "config.json").unlink()
    (bundle / "unet" / "model.safetensors").unlink()
    loaded = ModelCard.load(bundle)
    loaded.verify(bundle, ["text_encoder", "tokenizer", "device_unet", "vae_decoder"])
    with pytest.raises(InvalidBundle, match="unet: is absent or holds no model"):
        loaded.verify(bundle)


# --- the service card ---------------------------------------------------------------------------


def test_a_service_card_survives_the_wire():
    wire = service_card().to_proto().SerializeToString()
    assert ServiceCard.from_proto(pb.ServiceCard.FromString(wire)) == service_card()


@settings(deadline=None)
@given(
    limits=st.builds(
        Limits,
        max_candidates=st.integers(1, 4096),
        max_prompt_bytes=st.integers(1, 65536),
        max_prompt_tokens=st.integers(3, 4096),
        max_steps=st.integers(1, 999),
        max_guidance_scale=st.floats(1, 100, width=32),
        max_queue=st.integers(0, 10_000),
        request_timeout_s=st.integers(1, 86_400),
    ),
    latents=st.builds(
        LatentFormat,
        st.integers(1, 16),
        st.integers(1, 64),
        st.integers(1, 64),
        st.sampled_from(["float16", "float32"]),
    ),
    beta_start=st.floats(1e-6, 0.01),
    macs=st.integers(0, 2**63 - 1),
)
def test_any_valid_service_card_survives_the_wire(limits, latents, beta_start, macs):
    whole = service_card(
        limits=limits,
        latents=latents,
        scheduler=dataclasses.replace(SCHEDULE, beta_start=beta_start),
        step_kinds=(StepKindCost("unet_full", 0.5, macs),),
    )
    wire = whole.to_proto().SerializeToString()
    assert ServiceCard.from_proto(pb.ServiceCard.FromString(wire)) == whole


def test_every_field_of_the_wire_is_filled():
    message = service_card(
        scheduler=dataclasses.replace(SCHEDULE, steps_offset=1), distillation=DISTILLATION
    ).to_proto()
    _require_all_set(message)


def test_a_distillation_crosses_the_wire_and_json_and_must_be_the_same_on_both_sides():
    limits = dataclasses.replace(LIMITS, max_steps=50)
    service = service_card(distillation=DISTILLATION, limits=limits)
    assert ServiceCard.from_proto(service.to_proto()) == service
    defaults = Defaults(8, 7.5, 4)
    bundle = dataclasses.replace(model_card(), distillation=DISTILLATION, defaults=defaults)
    assert ModelCard.from_json(bundle.to_json()) == bundle
    service.require_bundle(bundle)
    other = dataclasses.replace(DISTILLATION, shift=0)
    with pytest.raises(ModelMismatch, match="shift: 0 here, 8 expected"):
        service.require_bundle(dataclasses.replace(bundle, distillation=other))
    with pytest.raises(ModelMismatch, match="original_steps: 50 here, no expected"):
        service_card().require_bundle(bundle)


def test_no_run_has_more_steps_than_the_model_was_distilled_on():
    few = dataclasses.replace(DISTILLATION, original_steps=20)
    with pytest.raises(ValueError, match="original_steps"):
        service_card(distillation=few)
    with pytest.raises(ValueError, match="original_steps"):
        dataclasses.replace(model_card(), distillation=few)


def test_a_pooled_embedding_is_one_row_more():
    assert TextFormat(40, 0, 64, 0).embedding_shape == (40, 64)
    assert TextFormat(40, 0, 64, 48).embedding_shape == (41, 64)
    with pytest.raises(ValueError, match="pooled_width"):
        TextFormat(40, 0, 64, 65)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("latents.channels", 0, "channels is outside"),
        ("latents.height", 2**32 - 1, "height is outside"),
        ("latents.wire_type", 0, "wire_type is neither"),
        ("latents.wire_type", 9, "wire_type is neither"),
        ("limits.max_candidates", 0, "max_candidates is outside"),
        ("limits.max_candidates", 2**31, "max_candidates is outside"),
        ("limits.max_guidance_scale", float("inf"), "max_guidance_scale is outside"),
        ("limits.max_guidance_scale", float("nan"), "max_guidance_scale is outside"),
        ("limits.request_timeout_s", 0, "request_timeout_s is outside"),
        ("limits.max_steps", 1000, "max_steps is not below"),
        ("models.family", "", "family is not"),
        ("models.vae_decoder", "deadbeef", "vae_decoder is not a SHA-256"),
        ("scheduler.beta_schedule", "x" * 10_000, "beta_schedule is none of"),
        ("service_version", "\x1b[2J", "service_version is no version"),
    ],
)
def test_a_service_card_with_one_bad_value_is_refused_by_name(path, value, words):
    message = service_card().to_proto()
    *parents, name = path.split(".")
    place = message
    for parent in parents:
        place = getattr(place, parent)
    setattr(place, name, value)
    with pytest.raises(WireError, match=words) as caught:
        ServiceCard.from_proto(message)
    assert len(str(caught.value)) < 300


def test_an_empty_message_is_refused():
    with pytest.raises(WireError, match="the service's card: "):
        ServiceCard.from_proto(pb.ServiceCard())


def test_latents_over_the_size_of_one_message_are_refused():
    with pytest.raises(ValueError, match="over 2 GiB"):
        service_card(
            latents=LatentFormat(64, 512, 512, "float32"),
            limits=dataclasses.replace(LIMITS, max_candidates=64),
        )


def test_profiles_of_a_later_release_are_left_out_but_none_is_refused():
    message = service_card().to_proto()
    message.profiles.append(77)
    assert ServiceCard.from_proto(message).profiles == (Profile.BARE,)
    del message.profiles[:]
    message.profiles.extend([0, 77])
    with pytest.raises(WireError, match="profiles are none"):
        ServiceCard.from_proto(message)


def test_more_step_kinds_than_anyone_has_are_refused():
    message = service_card().to_proto()
    message.step_kinds.extend(
        pb.StepKindCost(name=f"k{index}", evals=1) for index in range(100_000)
    )
    with pytest.raises(WireError, match="over 64"):
        ServiceCard.from_proto(message)


@pytest.mark.parametrize("wire_type", ["float16", "float32"])
@pytest.mark.parametrize("candidates", [1, 6, 30])
def test_batch_bytes_bounds_the_serialised_message_closely(wire_type, candidates):
    latents = dataclasses.replace(LATENTS, wire_type=wire_type)
    tensor = encode(np.ones((candidates, *latents.shape), np.float32), latents.tensor_type)
    batch = generation_pb2.LatentBatch(latents=tensor, previous_x0=tensor)
    size = generation_pb2.GenerateResponse(batch=batch).ByteSize()
    assert size <= latents.batch_bytes(candidates) < size + 5000


# --- the two together ---------------------------------------------------------------------------


def test_a_service_of_the_same_family_is_accepted_whatever_its_wire_type():
    service_card().require_bundle(model_card())
    wide = dataclasses.replace(LATENTS, wire_type="float32")
    service_card(latents=wide).require_bundle(model_card())


@pytest.mark.parametrize(
    ("change", "part"),
    [
        *[({"models": digests(**{part: "0" * 64})}, part) for part in card.FOLDERS],
        ({"models": digests(family="other")}, "family"),
        ({"latents": LatentFormat(4, 16, 16, "float16")}, "latents"),
        ({"scheduler": dataclasses.replace(SCHEDULE, steps_offset=1)}, "steps_offset"),
        ({"scheduler": dataclasses.replace(SCHEDULE, beta_end=0.02)}, "beta_end"),
    ],
)
def test_a_service_of_another_family_is_refused_and_the_difference_named(change, part):
    with pytest.raises(ModelMismatch) as caught:
        service_card(**change).require_bundle(model_card())
    assert caught.value.part == part
    assert caught.value.ours != caught.value.theirs


def _require_all_set(message):
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is None:
            assert value, field.full_name
            continue
        for child in value if field.is_repeated else [value]:
            _require_all_set(child)

"""Pairs that cannot work are refused before anything is written, with the facts that differ."""

import json
import shutil
import socket

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
pytest.importorskip("transformers", reason="transformers is not installed (extra: export)")
pytest.importorskip("safetensors", reason="safetensors is not installed (extra: export)")

from safetensors.torch import load_file, save_file

from cloud_service.export.errors import ExportFailed
from cloud_service.export.pair import ModelPair, PairRefused
from cloud_service.export.weights_file import weights_in
from obclip.errors import ExitCode
from tests.fakes.tiny_pipeline import Tiny, edit_json, save_tiny_pair, save_tiny_pipeline

pytestmark = pytest.mark.timeout(120)  # the first test waits for torch


def check(cloud, device, vae=None, size=None):
    return ModelPair(cloud, device, vae, size)


def refusal(cloud, device, **options):
    with pytest.raises(PairRefused) as caught:
        check(cloud, device, **options)
    assert caught.value.exit_code == ExitCode.MISMATCH
    assert "\n" not in str(caught.value)
    return str(caught.value)


def other_weights(folder):
    path = weights_in(folder)
    tensors = load_file(path)
    name = next(iter(tensors))
    save_file(tensors | {name: tensors[name] + 1}, path, metadata={"format": "pt"})


@pytest.fixture(scope="session")
def saved_xl_pair(tmp_path_factory):
    return save_tiny_pair(tmp_path_factory.mktemp("xl"), Tiny(is_xl=True))


def test_a_pair_that_was_made_for_each_other_fits(pair, saved_xl_pair):
    assert check(*pair).device_text is None
    assert check(*pair).image_size == 64
    assert check(*saved_xl_pair).cloud.text.format.embedding_shape == (13, 56)


def test_the_device_may_be_a_unet_alone(pair):
    cloud, device = pair
    alone = check(cloud, device / "unet")
    assert alone.device_pipeline is None
    assert alone.device_text is None
    assert alone.vae == cloud / "vae"


SCHEDULER = "scheduler/scheduler_config.json"


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        (
            "unet/config.json",
            {"in_channels": 8, "out_channels": 8},
            "latent channels: cloud 4, device 8",
        ),
        ("unet/config.json", {"sample_size": 16}, "sample size: cloud 8, device 16 (say --size)"),
        (
            "unet/config.json",
            {"cross_attention_dim": 64},
            "text width: device's text encoder 32, device's UNet 64",
        ),
        (
            "unet/config.json",
            {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 88,
            },
            "pooled width: device's text encoder 0, device's UNet 40",
        ),
        (
            "vae/config.json",
            {"scaling_factor": 0.13025},
            "VAE scaling_factor: cloud 0.7, device 0.13025",
        ),
        ("vae/config.json", {"latent_channels": 16}, "VAE latent_channels: cloud 4, device 16"),
        (
            "vae/config.json",
            {"decoder_block_out_channels": [16, 16, 16]},
            "VAE factor: cloud 8, device 4",
        ),
        (
            SCHEDULER,
            {"prediction_type": "epsilon"},
            "scheduler prediction_type: cloud v_prediction, device epsilon",
        ),
        (SCHEDULER, {"beta_end": 0.02}, "scheduler beta_end: cloud 0.012, device 0.02"),
        (SCHEDULER, {"beta_start": 0.0001}, "scheduler beta_start: cloud 0.00085, device 0.0001"),
        (SCHEDULER, {"beta_schedule": "linear"}, "cloud scaled_linear, device linear"),
        (SCHEDULER, {"num_train_timesteps": 500}, "num_train_timesteps: cloud 1000, device 500"),
        (SCHEDULER, {"_class_name": "LCMScheduler"}, "device LCMScheduler"),
    ],
)  # fmt: skip
def test_a_wrong_device_is_refused_with_both_values(pair, file, values, words):
    cloud, device = pair
    edit_json(device / file, **values)
    assert words in refusal(cloud, device)


@pytest.mark.parametrize(("kind", "factor"), [("AutoencoderKL", 0.18215), ("AutoencoderTiny", 1.0)])
def test_a_vae_without_a_scaling_factor_has_diffusers_own(pair, kind, factor):
    """Configs saved before diffusers 0.11 have none."""
    cloud, device = pair
    edit_json(device / "model_index.json", vae=["diffusers", kind])
    path = device / "vae" / "config.json"
    config = json.loads(path.read_text())
    del config["scaling_factor"]
    path.write_text(json.dumps(config))
    edit_json(cloud / "vae" / "config.json", scaling_factor=factor)
    assert check(cloud, device).image_size == 64
    edit_json(cloud / "vae" / "config.json", scaling_factor=0.5)
    assert f"VAE scaling_factor: cloud 0.5, device {factor}" in refusal(cloud, device)


def test_another_vae_is_refused_until_one_is_named(pair):
    cloud, device = pair
    other_weights(device / "vae")
    words = refusal(cloud, device)
    assert "VAE digest: cloud " in words
    assert "say --vae cloud or --vae device" in words
    assert check(cloud, device, "cloud").vae == cloud / "vae"
    assert check(cloud, device, "device").vae == device / "vae"


def test_another_tokenizer_of_the_same_text_encoder_is_refused(pair):
    cloud, device = pair
    path = device / "tokenizer" / "tokenizer.json"
    text = json.loads(path.read_text())
    vocabulary = text["model"]["vocab"]
    vocabulary["old"], vocabulary["young"] = vocabulary["young"], vocabulary["old"]
    path.write_text(json.dumps(text))
    assert "tokenizer: cloud " in refusal(cloud, device)


def test_another_padding_of_the_same_text_encoder_is_refused(pair):
    cloud, device = pair
    edit_json(device / "tokenizer" / "tokenizer_config.json", pad_token="</s>")  # noqa: S106 -- a word
    assert "tokenizer: cloud " in refusal(cloud, device)


def test_a_device_keeps_a_text_encoder_of_its_own(pair):
    cloud, device = pair
    other_weights(device / "text_encoder")
    assert check(cloud, device).device_text.encoder == device / "text_encoder"


def test_a_distilled_device_unet_is_refused(pair):
    cloud, device = pair
    edit_json(device / "unet" / "config.json", time_cond_proj_dim=16)
    words = refusal(cloud, device / "unet")
    assert "is told the guidance scale: cloud False, device True" in words


def test_a_unet_of_sdxl_does_not_go_with_sd(pair, saved_xl_pair):
    words = refusal(pair[0], saved_xl_pair[1] / "unet")
    assert "text width: device's text encoder 32, device's UNet 56" in words
    assert "pooled width: device's text encoder 0, device's UNet 40" in words


def test_a_cloud_whose_vae_is_another_models_is_refused(pair):
    cloud, device = pair
    edit_json(cloud / "vae" / "config.json", latent_channels=16)
    assert "latent channels: cloud's UNet 4, cloud's VAE 16" in refusal(cloud, device / "unet")


def test_every_mismatch_is_named_at_once(pair):
    cloud, device = pair
    edit_json(device / SCHEDULER, prediction_type="epsilon", beta_end=0.02)
    edit_json(device / "vae" / "config.json", scaling_factor=1.0)
    words = refusal(cloud, device)
    for fact in ("prediction_type", "beta_end", "scaling_factor"):
        assert fact in words


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("model_index.json", {"vae": ["diffusers", "AutoencoderDC"]}, "vae: is AutoencoderDC"),
        (
            "model_index.json",
            {"text_encoder": ["transformers", "T5EncoderModel"]},
            "text_encoder: is T5EncoderModel",
        ),
        ("model_index.json", {"unet": None, "transformer": ["diffusers", "SD3"]}, "unet: is None"),
        ("unet/config.json", {"addition_embed_type": "image"}, "addition_embed_type is image"),
        ("unet/config.json", {"class_embed_type": "timestep"}, "class_embed_type is timestep"),
        ("unet/config.json", {"in_channels": 9}, "out_channels is 4; this export needs 9"),
        ("unet/config.json", {"_class_name": "UNet3D"}, "_class_name is UNet3D"),
        ("unet/config.json", {"time_cond_proj_dim": 16}, "save the pipeline with an LCMScheduler"),
        ("vae/config.json", {"shift_factor": 0.1}, "shift_factor is 0.1"),
        ("vae/config.json", {"latents_mean": [1, 2]}, "latents_mean is"),
        (SCHEDULER, {"use_karras_sigmas": True}, "use_karras_sigmas: is True; set it to False"),
        (SCHEDULER, {"prediction_type": "sample"}, "prediction_type is none of"),
        (SCHEDULER, {"beta_start": "a"}, "scheduler: "),
        ("unet/config.json", {"sample_size": [8, 8]}, "sample_size is [8, 8]; this export needs a"),
        ("unet/config.json", {"sample_size": None}, "sample_size is None"),
        ("unet/config.json", {"cross_attention_dim": None}, "cross_attention_dim is None"),
        ("text_encoder/config.json", {"hidden_size": None}, "hidden_size is None"),
        ("tokenizer/tokenizer_config.json", {"pad_token": None}, "names no pad token"),
    ],
)
def test_another_kind_of_pipeline_is_refused(pair, file, values, words):
    cloud, device = pair
    edit_json(cloud / file, **values)
    with pytest.raises(ExportFailed) as caught:
        check(cloud, device)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_is_absent_is_asked_of_nobody(pair, monkeypatch):
    cloud, device = pair
    shutil.rmtree(cloud / "tokenizer")

    def asked(*_arguments: object, **_options: object) -> None:
        pytest.fail("somebody was asked")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    with pytest.raises(ExportFailed, match="tokenizer: holds no tokenizer of a known class"):
        check(cloud, device)


@pytest.mark.parametrize("damage", ["cut off", "own code"])
def test_a_tokenizer_that_cannot_be_read_is_refused_and_its_code_is_not_run(pair, damage):
    cloud, device = pair
    folder = cloud / "tokenizer"
    if damage == "cut off":
        (folder / "tokenizer.json").write_text('{"model": ', encoding="utf-8")
    else:
        ran = cloud / "ran"
        code = f"open({str(ran)!r}, 'w')\nclass Evil: pass\n"
        (folder / "evil.py").write_text(code, encoding="utf-8")
        mapped = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
        (folder / "config.json").unlink(missing_ok=True)
        edit_json(folder / "tokenizer_config.json", tokenizer_class="Evil", auto_map=mapped)
    with pytest.raises(ExportFailed, match="tokenizer: holds no tokenizer of a known class"):
        check(cloud, device)
    assert not (cloud / "ran").exists()


@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json", "vae/config.json"])
def test_an_absent_file_is_named(pair, file):
    cloud, device = pair
    (cloud / file).unlink()
    with pytest.raises(ExportFailed, match=file):
        check(cloud, device)


def test_a_size_that_the_unets_cannot_halve_is_refused(pair):
    assert check(*pair, size=96).image_size == 96
    with pytest.raises(ExportFailed, match="--size: is 100; take a multiple of 16"):
        check(*pair, size=100)


def test_sdxls_second_tokenizer_must_have_the_firsts_vocabulary(tmp_path):
    cloud = save_tiny_pipeline(tmp_path, Tiny(is_xl=True))
    path = cloud / "tokenizer_2" / "tokenizer.json"
    path.write_text(path.read_text().replace('"glasses"', '"a hat"'))
    with pytest.raises(ExportFailed, match="another vocabulary"):
        check(cloud, cloud / "unet")

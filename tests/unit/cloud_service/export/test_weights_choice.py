"""Which of a folder's or a hub repository's files are taken."""

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra: export)")

from cloud_service.export.errors import ExportFailed
from cloud_service.export.source import locate, wanted_files
from cloud_service.export.weights_file import choose_weights, weights_in

FULL, HALF = "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"
OTHERS = ["diffusion_pytorch_model.non_ema.safetensors", "config.json"]


def test_the_fp16_variant_comes_first_unless_float32_is_asked_for():
    assert choose_weights([FULL, HALF, *OTHERS], None) == [HALF]
    assert choose_weights([FULL, HALF, *OTHERS], "fp16") == [HALF]
    assert choose_weights([FULL, HALF, *OTHERS], "fp32") == [FULL]
    assert choose_weights([FULL, *OTHERS], "fp16") == [FULL]
    assert choose_weights([HALF], "fp32") == []


def test_sharded_weights_are_refused(tmp_path):
    for number in (1, 2):
        (tmp_path / f"diffusion_pytorch_model-0000{number}-of-00002.safetensors").touch()
    with pytest.raises(ExportFailed, match="holds 2 weight files"):
        weights_in(tmp_path)


def test_float32_alone_is_refused_where_there_is_none(tmp_path):
    (tmp_path / HALF).touch()
    with pytest.raises(ExportFailed, match="holds 0 weight files of fp32"):
        weights_in(tmp_path, "fp32")


def test_of_a_hub_repository_the_needed_files_are_fetched():
    names = [
        "model_index.json", "README.md", "sd-v1-4.safetensors", "unet/config.json",
        f"unet/{FULL}", f"unet/{HALF}", "unet/flax_model.msgpack", "tokenizer/merges.txt",
        "tokenizer/vocab.json", "safety_checker/model.safetensors", "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors", "scheduler/scheduler_config.json",
    ]  # fmt: skip
    assert sorted(wanted_files(names, None)) == sorted(
        [
            "model_index.json",
            "unet/config.json",
            f"unet/{HALF}",
            "tokenizer/merges.txt",
            "tokenizer/vocab.json",
            "text_encoder/config.json",
            "text_encoder/model.fp16.safetensors",
            "scheduler/scheduler_config.json",
        ]
    )
    assert f"unet/{FULL}" in wanted_files(names, "fp32")


def test_of_a_unet_alone_its_two_files_are_fetched():
    assert wanted_files(["config.json", HALF, "README.md"], None) == ["config.json", HALF]


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert locate(str(tmp_path), None) == tmp_path


def test_what_is_neither_folder_nor_hub_id_is_refused():
    with pytest.raises(ExportFailed, match="no folder and no hub id; give a folder, or owner/name"):
        locate("/nowhere/at/all", None)


def test_without_a_hub_the_remedy_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ExportFailed) as caught:
        locate("owner/no-such-model", None)
    assert "download the model and give its folder" in str(caught.value)
    assert "\n" not in str(caught.value)

"""What is refused before any model is loaded."""

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
pytest.importorskip("transformers", reason="transformers is not installed (extra: export)")

from cloud_service.export.errors import ExportFailed
from cloud_service.export.pipeline_folder import PipelineFolder
from tests.unit.cloud_service.export.tiny_pipeline import edit_json


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("model_index.json", {"vae": ["diffusers", "AutoencoderDC"]}, "vae: is AutoencoderDC"),
        (
            "model_index.json",
            {"text_encoder": ["transformers", "T5EncoderModel"]},
            "text_encoder: is T5EncoderModel",
        ),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "addition_embed_type is text"),
        ("device_unet/config.json", {"time_cond_proj_dim": 256}, "time_cond_proj_dim is 256"),
        ("device_unet/config.json", {"in_channels": 9}, "in_channels is 9"),
        ("device_unet/config.json", {"cross_attention_dim": 64}, "cross_attention_dim is 64"),
        ("vae/config.json", {"shift_factor": 0.1}, "shift_factor is 0.1"),
        ("vae/config.json", {"latent_channels": 16}, "latent_channels is 16"),
    ],
)
def test_another_kind_of_pipeline_is_refused(pipeline, file, values, words):
    edit_json(pipeline / file, **values)
    with pytest.raises(ExportFailed, match=words) as caught:
        PipelineFolder(pipeline)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "file", ["model_index.json", "device_unet/config.json", "text_encoder/config.json"]
)
def test_an_absent_file_is_named(pipeline, file):
    (pipeline / file).unlink()
    with pytest.raises(ExportFailed, match=file):
        PipelineFolder(pipeline)


def test_a_slow_tokenizer_is_refused(pipeline):
    (pipeline / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(ExportFailed, match=r"tokenizer\.json: is absent"):
        PipelineFolder(pipeline).text_format()


def test_a_tokenizer_without_padding_is_refused(pipeline):
    edit_json(pipeline / "tokenizer" / "tokenizer_config.json", pad_token=None)
    with pytest.raises(ExportFailed, match="names no pad token"):
        PipelineFolder(pipeline).text_format()


def test_the_fp16_variant_comes_before_the_full_one(pipeline):
    half = PipelineFolder(pipeline).weights_file("unet")
    half.with_name("diffusion_pytorch_model.safetensors").write_bytes(half.read_bytes())
    assert PipelineFolder(pipeline).weights_file("unet") == half


def test_sharded_weights_are_refused(pipeline):
    half = PipelineFolder(pipeline).weights_file("unet")
    half.with_name("model-00002-of-00002.fp16.safetensors").write_bytes(half.read_bytes())
    with pytest.raises(ExportFailed, match="holds 2 weight files"):
        PipelineFolder(pipeline).weights_file("unet")

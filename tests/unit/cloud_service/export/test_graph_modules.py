"""The modules of the graphs against the pipelines that they are parts of, before any export."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from cloud_service.export.graph_modules import (  # noqa: E402 -- after the skips
    TwoTextEncoders,
    Unet,
)
from cloud_service.export.pipeline_folder import PipelineFolder  # noqa: E402
from tests.fakes.tiny_pipeline import POOLED, TOKENS, Tiny, edit_json, save_tiny_pipeline  # noqa: E402

PROMPTS = ["an old man with glasses", "a woman"]
pytestmark = [
    pytest.mark.timeout(120),  # the first test waits for torch
    pytest.mark.filterwarnings("default"),  # diffusers and transformers about their own
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tiny = Tiny(is_xl=True, is_lcm=True, embeds_guidance=True, prediction_type="epsilon")
    return save_tiny_pipeline(tmp_path_factory.mktemp("xl"), tiny)


def load(folder):
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, variant="fp16")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def encode(folder, pipe, prompts):
    module = TwoTextEncoders(
        pipe.text_encoder, pipe.text_encoder_2, PipelineFolder(folder).text.ids
    )
    ids = pipe.tokenizer(prompts, padding="max_length", max_length=TOKENS, return_tensors="pt")
    with torch.no_grad():
        return module(ids.input_ids)


def test_both_text_encoders_give_the_pipelines_embeddings_and_the_pooled_row(folder):
    pipe = load(folder)
    embedding, _, pooled, _ = pipe.encode_prompt(
        PROMPTS, device="cpu", do_classifier_free_guidance=False
    )
    found = encode(folder, pipe, PROMPTS)
    assert torch.allclose(found[:, :-1], embedding, atol=1e-6)
    assert torch.allclose(found[:, -1, :POOLED], pooled, atol=1e-6)
    assert not found[:, -1, POOLED:].any()
    assert (found[0] - found[1]).abs().max() > 0.1


@pytest.mark.parametrize("zeroes", [True, False])
def test_the_empty_prompt_is_zeros_where_the_pipeline_says_so(tmp_path, zeroes):
    own = save_tiny_pipeline(tmp_path, Tiny(is_xl=True))
    edit_json(own / "model_index.json", force_zeros_for_empty_prompt=zeroes)
    pipe = load(own)
    _, negative, _, pooled = pipe.encode_prompt("a man", device="cpu")
    (found,) = encode(own, pipe, [""])
    assert torch.allclose(found[:-1], negative[0], atol=1e-6)
    assert torch.allclose(found[-1, :POOLED], pooled[0], atol=1e-6)
    assert bool(found.any()) is not zeroes


def test_the_unet_takes_its_row_apart_and_is_told_sizes_and_scale(folder):
    pipe, generator = load(folder), torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    times, scales = torch.tensor([900.0, 30.0]), torch.tensor([8.0, 3.0])
    text = encode(folder, pipe, PROMPTS)
    told = {
        "text_embeds": text[:, -1, :POOLED],
        "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 2),
    }
    condition = pipe.get_guidance_scale_embedding(scales - 1, embedding_dim=16)
    with torch.no_grad():
        wanted = pipe.unet(
            latents, times, text[:, :-1], timestep_cond=condition, added_cond_kwargs=told
        ).sample
        found = Unet(pipe.unet, POOLED, 64)(latents, times, text, scales)
        other = Unet(pipe.unet, POOLED, 64)(latents, times, text, scales + 2)
        smaller = Unet(pipe.unet, POOLED, 32)(latents, times, text, scales)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert (found - other).abs().max() > 1e-3
    assert (found - smaller).abs().max() > 1e-3

"""The exported tiny pipeline: its graphs against diffusers, its card against its files."""

import numpy as np
import onnxruntime as ort
import pytest

from obclip.card import ModelCard
from obclip.plan import STEP_KIND_GRAPHS, STEP_KINDS

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: export)")
torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

# The session's one export counts for whichever of these comes first.
pytestmark = pytest.mark.timeout(900)

GRAPHS = (
    "text_encoder/model.onnx",
    *STEP_KIND_GRAPHS.values(),
    "device_unet/model.onnx",
    "vae/decoder.onnx",
)


def run(path, **feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options).run(None, feeds)[0]


@pytest.fixture(scope="module")
def pipe(exported):
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(exported.bundle, variant="fp16")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def unet_feeds(batch):
    random = np.random.default_rng(batch)
    return {
        "latents": random.standard_normal((batch, 4, 8, 8), np.float32),
        "timestep": random.uniform(0, 999, batch).astype(np.float32),
        "encoder_hidden_states": random.standard_normal((batch, 12, 32), np.float32),
    }


@pytest.mark.parametrize("batch", [1, 2, 3, 12, 60, 65])
@pytest.mark.parametrize("part", ["unet", "device_unet"])
def test_a_unet_equals_diffusers_at_any_batch_size(exported, part, batch):
    model = diffusers.UNet2DConditionModel.from_pretrained(
        exported.bundle, subfolder=part, variant="fp16"
    )
    feeds = unet_feeds(batch)
    with torch.inference_mode():
        wanted = model(*map(torch.from_numpy, feeds.values())).sample.numpy()
    found = run(exported.bundle / part / "model.onnx", **feeds)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_a_sample_does_not_depend_on_its_neighbours(exported):
    path = exported.bundle / "unet" / "model.onnx"
    feeds = unet_feeds(5)
    together = run(path, **feeds)
    alone = run(path, **{name: value[3:4] for name, value in feeds.items()})
    np.testing.assert_allclose(together[3:4], alone, rtol=0, atol=1e-5 * np.abs(alone).max())


def test_the_text_encoder_equals_the_pipelines(exported, pipe):
    prompts = ["a young woman with glasses", "an old man", "a man"]
    wanted, _ = pipe.encode_prompt(prompts, "cpu", 1, do_classifier_free_guidance=False)
    ids = pipe.tokenizer(prompts, padding="max_length", max_length=12, return_tensors="np")
    found = run(exported.bundle / "text_encoder" / "model.onnx", input_ids=ids["input_ids"])
    np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7])
def test_a_token_changes_nothing_before_it(exported, batch):
    path = exported.bundle / "text_encoder" / "model.onnx"
    ids = np.random.default_rng(0).integers(0, 11, (batch, 12))
    other = ids.copy()
    other[:, 8] = (other[:, 8] + 1) % 11
    before, after = run(path, input_ids=ids), run(path, input_ids=other)
    np.testing.assert_allclose(before[:, :8], after[:, :8], rtol=0, atol=1e-6)
    assert (np.abs(before[:, 8:] - after[:, 8:]).max(axis=(0, 2)) > 1e-4).all()


def test_the_decoder_makes_the_pipelines_picture(exported, pipe):
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    picture = pipe.image_processor.postprocess(decoded, output_type="np")
    found = run(exported.bundle / "vae" / "decoder.onnx", latents=latents.numpy())
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), picture, rtol=0, atol=1e-5)
    assert np.ptp(picture) > 0.05


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_graph_holds_no_weights(exported, graph):
    path = exported.bundle / graph
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    outside = [{e.key: e.value for e in t.external_data} for t in tensors if t.external_data]
    weights = {file.name for file in path.parent.glob("*.safetensors")}
    assert {entry["location"] for entry in outside} == weights
    embedded = sum(onnx.numpy_helper.to_array(t).nbytes for t in tensors if not t.external_data)
    assert embedded < 4096 < sum(int(entry["length"]) for entry in outside)
    assert path.stat().st_size < 300 * 1024


def test_a_graph_tells_nothing_of_the_machine_that_wrote_it(exported):
    for graph in GRAPHS:
        content = (exported.bundle / graph).read_bytes()
        assert b".py" not in content
        assert str(exported.bundle).encode() not in content


def test_the_card_is_that_of_the_files(exported):
    card = ModelCard.load(exported.bundle)
    card.verify(exported.bundle)
    assert card.models.family == "tiny"
    assert card.licence == "CC0-1.0"
    assert card.latents.shape == (4, 8, 8)
    assert card.latents.wire_type == "float16"
    assert (card.image.height, card.image.width) == (64, 64)
    assert (card.text.max_tokens, card.text.pad_token_id) == (12, 0)
    assert card.schedule.prediction_type == "v_prediction"
    assert (card.defaults.steps, card.defaults.guidance_scale, card.defaults.switch_point) == (
        8,
        1.5,
        3,
    )
    costs = {kind.name: kind for kind in card.step_kinds}
    assert set(costs) == set(STEP_KINDS)
    whole = costs["unet_full"]
    assert (whole.evals, whole.evals_per_set, whole.macs_per_set) == (1, 0, 0)
    assert costs["unet_reuse"].macs + costs["unet_reuse"].macs_per_set == whole.macs > 0
    cheap = ("unet_shallow", "unet_up_cached", "unet_up")
    assert sorted(cheap, key=lambda name: costs[name].evals) == list(cheap)
    assert all(0 < costs[name].evals < 1 for name in (*cheap, "unet_cached", "unet_reuse"))


def test_the_program_prints_every_part(exported):
    for part in ("text_encoder", "unet", "device_unet", "vae"):
        assert part in exported.printed


def test_nothing_half_written_is_left(exported):
    assert not list(exported.bundle.rglob("*.partial"))

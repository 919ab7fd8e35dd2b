"""Each step kind against the UNet that it is made of; its graph is compared at every export."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from cloud_service.export.graph_modules import Unet  # noqa: E402 -- after the skips
from cloud_service.export.step_kinds import StepKindUnet  # noqa: E402
from obclip.plan import STEP_KINDS  # noqa: E402
from tests.fakes.tiny_pipeline import randomise  # noqa: E402

CACHES = ("skips", "attention_down", "attention_up")
ON_CACHES = ("unet_shallow", "unet_cached", "unet_up", "unet_up_cached")


def _unet(layers=2, **options):
    """As Stable Diffusion 1.x, attention on the outermost level too."""
    torch.manual_seed(1)
    blocks = ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")
    settings = {
        "down_block_types": blocks,
        "up_block_types": tuple(name.replace("Down", "Up") for name in reversed(blocks)),
        "block_out_channels": (16, 32, 32),
        "layers_per_block": layers,
        "norm_num_groups": 8,
        "cross_attention_dim": 24,
        "attention_head_dim": 4,
        "sample_size": 8,
    }
    return Unet(randomise(diffusers.UNet2DConditionModel(**(settings | options))))


@pytest.fixture(scope="module", params=["three levels", "no mid block", "one layer"])
def unet(request):
    options = {"no mid block": {"mid_block_type": None}, "one layer": {"layers": 1}}
    return _unet(**options.get(request.param, {}))


def _examples(seed=0, rows=2):
    generator = torch.Generator().manual_seed(seed)
    return {
        "latents": torch.randn(rows, 4, 8, 8, generator=generator),
        "timestep": torch.tensor([700.0, 30.0])[:rows],
        "encoder_hidden_states": torch.randn(rows, 5, 24, generator=generator),
    }


def _sets(candidates):
    rows = [_examples(seed) for seed in range(candidates)]
    return {
        name: rows[0][name] if name == "timestep" else torch.stack([r[name] for r in rows], dim=1)
        for name in rows[0]
    }


def _run(unet, kind, examples, *cached):
    module = StepKindUnet(unet, kind, examples)
    with torch.inference_mode():
        answer = module(*examples.values(), *cached)
    return dict(zip(("model_output", *STEP_KINDS[kind].leaves), answer, strict=True))


def _left(unet, examples):
    """What the whole UNet leaves; a set of one row shares its maps with nobody."""
    sets = {n: x if x.ndim == 1 else x[:, None] for n, x in examples.items()}
    left = _run(unet, "unet_reuse", sets)
    return {name: left[name][:, 0] for name in left} | _run(unet, "unet_full", examples)


def _close(found, wanted):
    error = (found - wanted).abs().max() / wanted.abs().max()
    assert error <= 1e-4


def test_the_whole_unet_is_diffusers(unet):
    examples = _examples()
    with torch.inference_mode():
        wanted = unet.model(*examples.values()).sample
    _close(_run(unet, "unet_full", examples)["model_output"], wanted)
    sets = {n: x if x.ndim == 1 else x[:, None] for n, x in examples.items()}
    _close(_run(unet, "unet_reuse", sets)["model_output"][:, 0], wanted)


@pytest.mark.parametrize("kind", ON_CACHES)
def test_on_what_the_same_point_left_a_kind_is_the_whole_unet(unet, kind):
    examples = _examples()
    left = _left(unet, examples)
    answer = _run(unet, kind, examples, *(left[name] for name in STEP_KINDS[kind].takes))
    for name, found in answer.items():
        _close(found, left[name])


@pytest.mark.parametrize("kind", ON_CACHES)
def test_what_is_taken_is_not_computed_again(unet, kind):
    """What another point left gives another answer than either point's own."""
    elsewhere = _examples(seed=9) | {"timestep": torch.tensor([400.0, 500.0])}
    examples, left = _examples(), _left(unet, elsewhere)
    found = _run(unet, kind, examples, *(left[name] for name in STEP_KINDS[kind].takes))
    for own in (_left(unet, examples), left):
        assert (found["model_output"] - own["model_output"]).abs().max() > 1e-3


def test_attention_of_a_set_is_that_of_its_first_row(unet):
    """o_i = softmax(q* k*^T / sqrt(d)) v_i, computed with explicit maps."""
    sets, candidates = _sets(3), 3
    found = _run(unet, "unet_reuse", sets)
    own = unet.model.attn_processors
    unet.model.set_attn_processor(_ExplicitPivot(candidates))
    with torch.inference_mode():
        wanted = unet.model(
            sets["latents"].flatten(0, 1),
            sets["timestep"].repeat_interleave(candidates),
            sets["encoder_hidden_states"].flatten(0, 1),
        ).sample
    unet.model.set_attn_processor(own)
    _close(found["model_output"].flatten(0, 1), wanted)


def test_the_first_row_of_a_set_is_untouched_and_the_others_keep_their_own_values(unet):
    sets = _sets(3)
    found = _run(unet, "unet_reuse", sets)["model_output"]
    first = {n: x if x.ndim == 1 else x[:, 0] for n, x in sets.items()}
    _close(found[:, 0], _run(unet, "unet_full", first)["model_output"])
    assert (found[:, 1] - found[:, 0]).abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.timeout(600)  # six traces
def test_the_count_leaves_out_what_is_taken():
    unet, macs = _unet(), {}
    for kind in STEP_KINDS:
        examples = _sets(2) if kind == "unet_reuse" else _examples()
        module = StepKindUnet(unet, kind, examples)
        examples |= module.cached_examples(torch.Generator().manual_seed(0))
        macs[kind] = module.count(examples)
    whole = macs["unet_full"].per_sample
    assert macs["unet_reuse"].per_sample + macs["unet_reuse"].per_set == whole
    assert 0 < macs["unet_reuse"].per_set < 0.2 * whole
    order = ("unet_shallow", "unet_up_cached", "unet_up", "unet_full")
    counts = [macs[kind].per_sample for kind in order]
    assert counts == sorted(set(counts))


class _ExplicitPivot:
    def __init__(self, candidates):
        self.candidates = candidates

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)
        query, key, value = map(attn.head_to_batch_dim, (query, key, value))
        maps = attn.get_attention_scores(query, key)
        heads, n = attn.heads, self.candidates
        rows = maps.reshape(-1, n, heads, *maps.shape[1:])[:, :1].expand(-1, n, -1, -1, -1)
        out = attn.batch_to_head_dim(rows.flatten(0, 2) @ value)
        return attn.to_out[0](out)

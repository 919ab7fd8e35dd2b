"""The timer of plans and the two commands over it, on a toy UNet and the CPU."""

import json

import pytest
import typer

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
pytest.importorskip("resvg_py", reason="resvg-py is not installed (group: train)")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402 -- after the skips
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks import architectures, gpu_plans  # noqa: E402
from benchmarks.architectures import SIZES, STEPS, build, paper_rows  # noqa: E402
from benchmarks.gpu_plans import Timing, table, time_plans  # noqa: E402
from benchmarks.methods import METHODS, VANILLA  # noqa: E402
from benchmarks.torch_plans import Place, PlanTimer, example_inputs, split  # noqa: E402
from cloud_service.export.step_kinds import StepKindUnet  # noqa: E402
from obclip.card import StepKindCost  # noqa: E402
from obclip.plan import STEP_KINDS, UNET_FULL, UNET_REUSE, Profile, Switches, make_plan  # noqa: E402

pytestmark = pytest.mark.timeout(300)  # the UNet is traced for each step kind

CPU = Place("cpu", torch.float32)
# Stable Diffusion 1.x: GMAC of a sample, and of a set.
SD_1 = (
    StepKindCost("unet_full", 1.0, 401_600_000_000),
    StepKindCost("unet_shallow", 0.08, 32_000_000_000),
    StepKindCost("unet_reuse", 0.872, 350_200_000_000, 0.128, 51_400_000_000),
    StepKindCost("unet_cached", 0.744, 298_800_000_000),
    StepKindCost("unet_up", 0.675, 270_900_000_000),
    StepKindCost("unet_up_cached", 0.5, 200_800_000_000),
)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the operators are too small to share
    yield split(build("tiny", CPU), CPU)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("saving", [*Profile, Switches(cache_point=3, skip_point=4)], ids=str)
@pytest.mark.parametrize("candidates", [1, 3])
def test_runs_every_plan_and_gives_the_last_steps_rows(tiny, saving, candidates):
    plan = make_plan(25, 7, saving)
    output = PlanTimer(tiny, plan, candidates, CPU).run()
    rows = output.flatten(0, 1) if plan.steps[-1].kind == UNET_REUSE else output
    assert rows.shape == (plan.steps[-1].samples(candidates), 4, 8, 8)
    assert torch.isfinite(rows).all()


def test_a_bare_plans_last_call_is_the_unets(tiny):
    timer = PlanTimer(tiny, make_plan(25, 2, Profile.BARE), 3, CPU)
    with torch.no_grad():
        expected = tiny[UNET_FULL].model(*timer._inputs[-1].values())
    torch.testing.assert_close(timer.run(), expected)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("kind", [kind for kind, known in STEP_KINDS.items() if known.takes])
def test_what_is_taken_from_a_cache_is_not_computed(tiny, kind, rows):
    model = tiny[kind].model
    examples = example_inputs(model, kind, (1, rows), CPU)
    as_it_is = StepKindUnet(model, kind, examples)
    cached = [torch.randn(rows, *as_it_is.cached_shapes[n]) for n in STEP_KINDS[kind].takes]
    inputs = dict(enumerate((*examples.values(), *cached)))
    with torch.no_grad():
        output, *_left = tiny[kind].module(*inputs.values())
        torch.testing.assert_close(output, as_it_is(*inputs.values())[0])
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            tiny[kind].module(*inputs.values())
    assert counter.get_total_flops() // 2 == rows * as_it_is.count(inputs).per_sample


def test_batch_reuse_takes_sets_of_rows(tiny):
    model = tiny[UNET_FULL].model
    rows = example_inputs(model, UNET_FULL, (2, 3), CPU)
    sets = example_inputs(model, UNET_REUSE, (2, 3), CPU)
    assert rows["latents"].shape == (6, 4, 8, 8)
    assert sets["latents"].shape == (2, 3, 4, 8, 8)
    assert (rows["timestep"].shape, sets["timestep"].shape) == ((6,), (2,))


def test_times_every_method_for_each_size_on_the_processor(tiny):
    rows = time_plans(tiny, (2,), (1,), Timing(CPU, repeats=1, has_graphs=False))
    on_cloud = [method.name for method in METHODS if method.name != "device only"]
    assert [row["method"] for row in rows] == on_cloud
    assert all(row["seconds"] > 0 and row["graphed_seconds"] is None for row in rows)
    assert table(rows).row_count == len(rows)


def test_the_papers_layout():
    rows = paper_rows(SD_1)
    by_name = {(row["method"], row["k"]): row["macs"] for row in rows}
    assert set(by_name[VANILLA.name, 10]) == set(SIZES)
    assert by_name["cloud only", 10][2] == 2 * STEPS * 401_600_000_000
    assert by_name[VANILLA.name, 10][6] == 6 * by_name["cloud only", 10][6]
    assert by_name["obclip bare", 5][6] * 5 == by_name[VANILLA.name, 10][6]


@pytest.mark.usefixtures("tiny")  # one thread
def test_the_gpus_command_runs_on_a_processor_too(tmp_path):
    torch.manual_seed(0)
    report = tmp_path / "gpu.json"
    gpu_plans.main("tiny", [2], [1], "cpu", repeats=1, graphs=True, json_file=report)
    facts = json.loads(report.read_text())
    assert (facts["architecture"], facts["machine"]) == ("tiny", "processor")
    assert {(row["n"], row["k"]) for row in facts["rows"]} == {(2, 1)}
    assert all(row["seconds"] > 0 and row["graphed_seconds"] is None for row in facts["rows"])


def test_the_gpus_command_says_what_it_lacks():
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(typer.BadParameter, match="use --device cpu"):
        gpu_plans.main("tiny")


@pytest.mark.usefixtures("tiny")
def test_the_architectures_are_counted_and_timed(tmp_path):
    report = tmp_path / "architectures.json"
    architectures.main(
        ["tiny"], timed="tiny", size=8, n=2, switch_point=3, repeats=1, json_file=report
    )
    facts = json.loads(report.read_text())
    assert facts["architectures"]["tiny"]["kinds"][0]["evals"] == 1
    timed = [method.name for method in METHODS if method.varies_with_k]
    assert list(facts["cpu"]["seconds"]) == timed
    assert all(seconds[0] > 0 for seconds in facts["cpu"]["seconds"].values())
    text = architectures.section(facts)
    assert "### tiny on a processor" in text
    assert f"| {VANILLA.name} (bare's x 25/3) |" in text

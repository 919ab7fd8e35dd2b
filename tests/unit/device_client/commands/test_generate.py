import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from PIL import Image

from device_client.commands.order import Place
from device_client.public_side.transport import Tls
from tests.fakes.faults import AT_CANDIDATE, BROKEN, status_after
from tests.fakes.scripted_service import (
    LIMITS,
    HonestCloud,
    Request,
    Response,
    Script,
    ScriptedService,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle, write_tiny_bundle
from tests.fakes.tiny_graphs import TinySizes
from tests.unit.device_client.commands.conftest import Outcome, Program

PROMPT = "an old woman with a zebra"


class Generate:
    """`obclip generate` against a service, with the tiny bundle."""

    def __init__(self, program: Program, service: ScriptedService, bundle: TinyBundle) -> None:
        self._program = program
        self._where = ("--server", service.address, "--bundle", str(bundle.folder))

    def __call__(self, *arguments: str) -> Outcome:
        return self._program("generate", *arguments, *self._where)


@pytest.fixture
def generate(program: Program, service: ScriptedService, tiny_bundle: TinyBundle) -> Generate:
    return Generate(program, service, tiny_bundle)


def size(name: str) -> tuple[int, int]:
    with Image.open(name) as image:
        return image.size


def test_a_picture_is_written_and_told(generate: Generate) -> None:
    outcome = generate(PROMPT, "--seed", "4")
    assert (outcome.code, outcome.out) == (0, "obclip.png\n")
    assert size("obclip.png") == (64, 64)
    for words in ("N = 6", "10 of 10", "15 of 15", "zebra", "Seed: 4"):
        assert words in outcome.err


def test_the_next_picture_takes_the_next_number(generate: Generate) -> None:
    names = [generate(PROMPT, "--quiet").out for _ in range(3)]
    assert names == ["obclip.png\n", "obclip-2.png\n", "obclip-3.png\n"]


def test_quiet_prints_the_path_alone(generate: Generate) -> None:
    assert generate(PROMPT, "-q").err == ""


def test_json_is_one_object_without_the_prompt(generate: Generate) -> None:
    outcome = generate(PROMPT, "--json", "--seed", "4", "--sheet", "sheet.png")
    assert outcome.err == ""
    facts = outcome.facts
    assert (facts["image"], facts["sheet"]) == ("obclip.png", "sheet.png")
    assert facts["unknown_words"] == ["zebra"]
    assert facts["report"]["cloud"]["candidates"] == 6
    assert size("sheet.png") > (500, 500)


def test_a_seed_gives_the_same_file_again(generate: Generate) -> None:
    for name in ("first.png", "second.png"):
        generate(PROMPT, "--seed", "4", "-o", name)
    assert Path("first.png").read_bytes() == Path("second.png").read_bytes()


def test_a_prompt_from_standard_input(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("an old zebra keeper\n"))
    assert generate("-", "--json").facts["unknown_words"] == ["zebra", "keeper"]


def test_the_server_from_the_environment(
    program: Program,
    service: ScriptedService,
    tiny_bundle: TinyBundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OBCLIP_SERVER", service.address)
    assert program("generate", PROMPT, "--bundle", str(tiny_bundle.folder)).code == 0


def test_device_only_sends_nothing(generate: Generate, service: ScriptedService) -> None:
    outcome = generate(PROMPT, "--device-only")
    assert outcome.code == 0
    assert "service" not in outcome.err
    assert service.transcript == []


REFUSED = "<lora:face:1> an old woman"


def test_a_prompt_that_cannot_be_hidden_is_refused(
    generate: Generate, service: ScriptedService
) -> None:
    outcome = generate(REFUSED)
    assert (outcome.code, outcome.out) == (3, "")
    assert "refused" in outcome.error_line()
    assert {call.method for call in service.transcript} <= {"GetServiceCard"}


def test_a_prompt_that_cannot_be_hidden_stays_here(
    generate: Generate, service: ScriptedService
) -> None:
    outcome = generate(REFUSED, "--on-unknown", "device-only")
    assert (outcome.code, outcome.out) == (0, "obclip.png\n")
    assert "Nothing was sent" in outcome.err
    facts = generate(REFUSED, "--on-unknown", "device-only", "--json").facts
    assert facts["report"]["cloud"] is None
    assert "tag" in facts["report"]["refusal"]
    assert {call.method for call in service.transcript} == {"GetServiceCard"}


@pytest.mark.parametrize("where", [(), ("--device-only",)])
def test_a_long_prompt_is_cut_and_told(generate: Generate, where: tuple[str, ...]) -> None:
    outcome = generate(PROMPT + " in a garden at night" * 12, *where)
    assert outcome.code == 0
    assert "the device's text encoder takes no more" in outcome.err
    assert ("the cloud's text encoder takes no more" in outcome.err) is (where == ())


def test_what_cannot_be_hidden_has_no_sheet_and_says_so(generate: Generate) -> None:
    outcome = generate(REFUSED, "--on-unknown", "device-only", "--sheet", "sheet.png")
    assert (outcome.code, outcome.out) == (0, "obclip.png\n")
    assert "No sheet" in outcome.err
    assert os.listdir() == ["obclip.png"]


def test_without_a_step_of_the_cloud_nothing_is_said_to_be_sent(
    generate: Generate, service: ScriptedService
) -> None:
    outcome = generate(PROMPT, "--switch-point", "0")
    assert outcome.code == 0
    assert "sent" not in outcome.err
    assert {call.method for call in service.transcript} == {"GetServiceCard"}


def test_plain_text_beyond_this_machine_is_told(generate: Generate) -> None:
    assert "without --tls" not in generate(PROMPT).err
    place = Place("gpu.example.org:50051", None, None, None, None)
    assert place.is_overheard
    assert not replace(place, tls=Tls()).is_overheard


def test_the_effective_set_is_told(generate: Generate) -> None:
    assert "Effective set: " in generate(PROMPT).err


def test_ones_own_lexicon(generate: Generate) -> None:
    Path("mine.toml").write_text(
        '[attributes.coat]\nvalues = ["red", "green", "blue"]\n', encoding="utf-8"
    )
    outcome = generate("a man", "--lexicon", "mine.toml", "--json")
    assert outcome.facts["report"]["cloud"]["candidates"] == 2
    version = outcome.facts["report"]["cloud"]["lexicon_version"]
    assert "+" in version


def test_force_overwrites(generate: Generate) -> None:
    Path("kept.png").write_bytes(b"before")
    assert generate(PROMPT, "-o", "kept.png").code == 2
    assert Path("kept.png").read_bytes() == b"before"
    assert generate(PROMPT, "-o", "kept.png", "--force").code == 0
    assert size("kept.png") == (64, 64)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "prompt: is empty"),
        ((" \n",), "prompt: is empty"),
        ((PROMPT, "--on-unknown", "guess"), "on_unknown"),
        ((PROMPT, "--switch-point", "26"), "0..25"),
        ((PROMPT, "--switch-point", "-1"), "0..25"),
        ((PROMPT, "--steps", "0"), "1..100"),
        ((PROMPT, "--guidance-scale", "nan"), "guidance_scale"),
        ((PROMPT, "--seed", str(2**64)), "seed"),
        ((PROMPT, "--seed", "x"), "--seed"),
        ((PROMPT, "--profile", "turbo"), "profile"),
        ((PROMPT, "--out", "picture.txt"), "picture.txt"),
        ((PROMPT, "--out", "absent/picture.png"), "absent"),
        ((PROMPT, "--sheet", "absent/picture.png"), "absent"),
        ((PROMPT, "--device-only", "--sheet", "sheet.png"), "sheet"),
        ((PROMPT, "--sheet", "obclip.png"), "obclip.png"),
        ((PROMPT, "--device-only", "--switch-point", "26"), "0..25"),
        (("", "--server", "127.0.0.1:1"), "prompt: is empty"),
        ((PROMPT, "--tls-ca", "absent.pem"), "absent.pem"),
        ((PROMPT, "--timeout", "0"), "--timeout"),
        ((PROMPT, "--frobnicate"), "--frobnicate"),
        ((PROMPT, "--steps", "9" * 400), "steps: is outside"),
        ((PROMPT, "--threads", "9" * 20), "--threads"),
        ((PROMPT, "-o", "x" * 300 + ".png"), "cannot be a file"),
        ((), "PROMPT"),
    ],
)
def test_wrong_input_is_one_line_and_no_file(
    generate: Generate, arguments: tuple[str, ...], words: str
) -> None:
    outcome = generate(*arguments)
    assert outcome.code == 2
    assert words in outcome.error_line()
    assert outcome.out == ""
    assert os.listdir() == []


def test_an_error_is_json_too(generate: Generate) -> None:
    outcome = generate(PROMPT, "--switch-point", "26", "--json")
    assert outcome.facts["error"]["kind"] == "InvalidRequest"
    assert outcome.facts["error"]["exit_code"] == 2
    assert f"obclip: {outcome.facts['error']['message']}" == outcome.error_line()


FAILURES: dict[str, tuple[Script, int]] = {
    "truncated": (BROKEN["without statistics"], 6),
    "NaN": (AT_CANDIDATE["NaN latents"](2), 6),
    "oversize": (BROKEN["oversize"], 6),
    "dropped": (status_after(3, grpc.StatusCode.UNAVAILABLE), 4),
    "mismatch": (status_after(0, grpc.StatusCode.FAILED_PRECONDITION), 5),
    "internal": (status_after(1, grpc.StatusCode.INTERNAL), 1),
}


@pytest.mark.parametrize(("script", "code"), FAILURES.values(), ids=FAILURES)
def test_a_failing_service_is_one_line_and_no_file(
    program: Program, tiny_bundle: TinyBundle, cloud: HonestCloud, script: Script, code: int
) -> None:
    with scripted_service(cloud, service_card(tiny_bundle), script) as service:
        outcome = Generate(program, service, tiny_bundle)(PROMPT)
    assert outcome.code == code
    assert ";" in outcome.error_line()  # reason; remedy
    assert os.listdir() == []


def test_nobody_there(program: Program, tiny_bundle: TinyBundle) -> None:
    where = ("--server", "localhost:1", "--bundle", str(tiny_bundle.folder))
    outcome = program("generate", PROMPT, *where)
    assert outcome.code == 4
    assert "localhost:1" in outcome.error_line()


def test_other_models(
    program: Program, tiny_bundle: TinyBundle, cloud: HonestCloud, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=9)
    with scripted_service(cloud, service_card(tiny_bundle)) as service:
        outcome = Generate(program, service, other)(PROMPT)
    assert outcome.code == 5
    assert "cloud_unet" in outcome.error_line()


def interrupt_after(count: int) -> Script:
    """Sends this process the signal of Ctrl-C after `count` responses, and sends no more."""

    def script(
        _request: Request, responses: Iterable[Response], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        gone = threading.Event()
        context.add_callback(gone.set)
        for number, response in enumerate(responses):
            if number == count:
                os.kill(os.getpid(), signal.SIGINT)
                assert gone.wait(timeout=30)
            yield response

    return script


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_ctrl_c_while_the_cloud_works(
    program: Program, tiny_bundle: TinyBundle, cloud: HonestCloud, after: int
) -> None:
    with scripted_service(cloud, service_card(tiny_bundle), interrupt_after(after)) as service:
        outcome = Generate(program, service, tiny_bundle)(PROMPT, "--json")
        assert len(service.wait_for_calls(2)) == 2  # the service is free again
    assert outcome.code == 130
    assert "cancelled" in outcome.error_line()
    assert outcome.facts["error"]["exit_code"] == 130
    assert os.listdir() == []


def run_apart(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from device_client.program import main; main()"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_ctrl_c_while_the_device_works(tmp_path: Path) -> None:
    """The device has hundreds of slow steps to do when it says that the cloud's are done."""
    large = TinySizes(channels=48, height=96, width=96, tokens=40)
    bundle = write_tiny_bundle(tmp_path / "large", sizes=large)
    card = service_card(bundle, replace(LIMITS, max_steps=400))
    out = tmp_path / "picture.png"
    where = ("--bundle", str(bundle.folder), "--out", str(out), "--threads", "1")
    with scripted_service(HonestCloud(bundle), card) as service:
        where += ("--server", service.address, "--steps", "400", "--switch-point", "1")
        with run_apart("generate", PROMPT, *where) as process:
            assert process.stderr is not None
            told = iter(process.stderr.readline, "")
            assert any("1 of 1" in line for line in told)
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(timeout=30) == 130
    assert "cancelled" in rest.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large"]


@pytest.mark.parametrize("command", [("generate", "-"), ("candidates", "-"), ("audit", "-")])
def test_standard_input_that_is_no_text_is_told(
    program: Program, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    bytes_in = io.TextIOWrapper(io.BytesIO(b"an old \xff woman"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", bytes_in)
    outcome = program(*command)
    assert outcome.code == 2
    assert "cannot be read as UTF-8 text; give another one" in outcome.error_line()

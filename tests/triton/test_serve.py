"""`obclip serve` as an operator runs it: a real process over a real tritonserver."""

import collections
import os
import shutil
import signal
import subprocess
from pathlib import Path

import grpc
import pytest

from obclip.card import ServiceCard
from obclip.errors import ExitCode
from obclip.v1 import service_card_pb2, service_pb2_grpc
from tests.fakes.tiny_bundle import TinyBundle
from tests.generation_calls import request_for
from tests.triton.conftest import Traces, process_group
from tests.triton.serving import ended, serving, started

pytestmark = pytest.mark.triton


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(
    bundle: TinyBundle, traces: Traces, number: signal.Signals
) -> None:
    with serving(bundle) as (process, facts), process_group(facts["triton_pid"]) as group:
        assert facts["pid"] == process.pid
        _read_card(grpc.insecure_channel(facts["address"]))
        process.send_signal(number)
        assert ended(process) == (0, "")
        assert group.wait_until_gone()
    assert traces.left() == []


def _read_card(channel: grpc.Channel) -> None:
    with channel:
        stub = service_pb2_grpc.ObclipServiceStub(channel)
        assert stub.GetServiceCard(service_card_pb2.GetServiceCardRequest(), timeout=10).card


def test_when_triton_is_killed_it_ends_and_says_so(bundle: TinyBundle, traces: Traces) -> None:
    with serving(bundle) as (process, facts), process_group(facts["triton_pid"]) as group:
        os.kill(facts["triton_pid"], signal.SIGKILL)
        code, errors = ended(process)
        assert group.wait_until_gone()
    assert code == ExitCode.UNAVAILABLE
    assert errors.count("\n") == 1
    assert "tritonserver ended with code -9" in errors
    assert traces.left() == []


def test_when_a_model_process_is_killed_it_ends_and_says_so(
    bundle: TinyBundle, traces: Traces
) -> None:
    with serving(bundle) as (process, facts), process_group(facts["triton_pid"]) as group:
        model_pid = next(pid for pid in group.pids if pid != facts["triton_pid"])
        os.kill(model_pid, signal.SIGKILL)
        code, errors = ended(process)
        assert group.wait_until_gone()
    assert code == ExitCode.UNAVAILABLE
    assert errors.count("\n") == 1
    assert "a model process of tritonserver ended" in errors
    assert traces.left() == []


def test_ctrl_c_while_triton_starts_leaves_nothing(bundle: TinyBundle, traces: Traces) -> None:
    with started("--bundle", str(bundle.folder), "--listen", "127.0.0.1:0", "--verbose") as process:
        assert process.stderr is not None
        first_line = process.stderr.readline()  # Triton logs, so it runs, but is not ready yet
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0
    assert first_line
    assert traces.left() == []


def test_ctrl_c_in_the_middle_of_a_generation_ends_it(
    bundle: TinyBundle, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBCLIP_SHUTDOWN_GRACE_S", "0")
    monkeypatch.setenv("OBCLIP_MAX_STEPS", "900")
    with serving(bundle) as (process, facts):
        with grpc.insecure_channel(facts["address"]) as channel:
            stub = service_pb2_grpc.ObclipServiceStub(channel)
            card = stub.GetServiceCard(service_card_pb2.GetServiceCardRequest(), timeout=10).card
            request = request_for(ServiceCard.from_proto(card), steps=900, switch_point=900)
            stream = stub.Generate(request, timeout=30)
            while next(stream).WhichOneof("event") != "step_progress":
                pass
            process.send_signal(signal.SIGINT)
            with pytest.raises(grpc.RpcError) as caught:
                collections.deque(stream, maxlen=0)
        assert ended(process) == (0, "")
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert traces.left() == []


def test_serves_over_tls(bundle: TinyBundle, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(bundle, *tls) as (process, facts):
        port = facts["address"].rpartition(":")[2]
        credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
        _read_card(grpc.secure_channel(f"localhost:{port}", credentials))
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0


def test_prints_where_it_listens(bundle: TinyBundle) -> None:
    fixed = ("--bundle", str(bundle.folder), "--listen", "127.0.0.1:0", "--metrics-port", "0")
    with started(*fixed) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0
    assert lines[0].startswith("ObCLIP listens on 127.0.0.1:")
    assert lines[1].startswith("Triton answers on 127.0.0.1:")
    assert lines[2].startswith("Metrics on http://127.0.0.1:")


def test_uses_a_triton_that_runs_already(bundle: TinyBundle, real_triton_url: str) -> None:
    with serving(bundle, "--triton-url", real_triton_url) as (process, facts):
        assert facts["triton"] == real_triton_url
        assert facts["triton_pid"] is None
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--listen", "0.0.0.0:0"], "--insecure", ExitCode.UNAVAILABLE),
        (["--bundle", "/nonexistent"], "/nonexistent/card.json", ExitCode.MISMATCH),
        (["--metrics-port", "70000"], "metrics_port", ExitCode.UNAVAILABLE),
        (["--model-repository", "/nonexistent"], "tritonserver ended", ExitCode.UNAVAILABLE),
    ],
)
def test_a_mistake_gets_one_clear_line(
    bundle: TinyBundle, traces: Traces, arguments: list[str], words: str, code: ExitCode
) -> None:
    free = ("--listen", "127.0.0.1:0")  # whatever else is served on this machine
    with started("--bundle", str(bundle.folder), *free, *arguments) as process:
        found, errors = ended(process)
    assert found == code
    assert words in errors
    assert errors.count("\n") == 1
    assert traces.left() == []


def test_a_damaged_bundle_is_not_served(bundle: TinyBundle, tmp_path: Path) -> None:
    damaged = tmp_path / "bundle"
    shutil.copytree(bundle.folder, damaged)
    with (damaged / "unet" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with started("--bundle", str(damaged)) as process:
        code, errors = ended(process)
    assert code == ExitCode.MISMATCH
    assert "folder unet" in errors

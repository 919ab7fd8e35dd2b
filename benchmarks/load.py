"""`make load`: many users at once against a running service, by locust through the real client.

Locust owns the users, their rate and the duration. It is told not to patch the standard library:
gRPC's and ONNX Runtime's threads are not gevent's, so each picture is made in a real thread of a
gevent pool, while its user waits.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"  # read when locust is imported

import gevent  # type: ignore[import-untyped]  # its types are a package of their own
import gevent.threadpool  # type: ignore[import-untyped]  # as above
import numpy as np
import psutil  # type: ignore[import-untyped]  # as above
import typer
from locust import User, constant_throughput, task
from locust.env import Environment
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from tritonclient.grpc import InferenceServerClient

from benchmarks.acceleration import cell
from benchmarks.candidate_sets import candidate_set
from benchmarks.machine import machine
from benchmarks.page import PAGE, PICTURES, markdown_table, replace_section, save_plot
from benchmarks.system import running_service
from device_client.client import ObCLIP
from device_client.options import GenerationOptions
from obclip.errors import ObclipError, QueueFull

BUNDLE: Final = Path("demo_models/weights")
COLUMNS: Final = (
    "users", "pictures", "per_minute", "p50_s", "p95_s", "p99_s", "queue_p50_s", "queue_p95_s",
    "device_p50_s", "refused", "errors", "mean_batch", "busy_cores",
)  # fmt: skip
_SETTLE_S: Final = 120


@dataclass(frozen=True)
class Load:
    """What is asked of the service.

    Attributes:
        address: host:port of the service.
        triton: host:port of its Triton, for its batch sizes; None leaves them out.
        users: at the same time.
        rate: requests a second of all users together; None is as fast as answers come.
        duration_s: in which requests are begun.
        n: candidates of a prompt: 2, 6 or 30.
        switch_point: k.
        profile: how the cloud saves work.
        has_device: whether the device finishes the pictures, in threads on this machine.
    """

    address: str
    triton: str | None
    users: int
    rate: float | None
    duration_s: float
    n: int
    switch_point: int
    profile: str
    has_device: bool


@dataclass
class Record:
    """One request.

    Attributes:
        begin_s: since the load began.
        total_s: until the picture, or the error.
        queue_s: until the service began with it.
        device_s: the device's own part.
        outcome: "picture", "refused", or the error's type.
    """

    begin_s: float
    total_s: float = 0.0
    queue_s: float = 0.0
    device_s: float = 0.0
    outcome: str = "picture"


@dataclass
class Crowd:
    """What the users share.

    Attributes:
        load: what they do.
        pool: the threads in which they do it.
        begin: clock at the load's begin.
        records: of all requests.
    """

    load: Load
    pool: gevent.threadpool.ThreadPool
    begin: float = field(default_factory=time.perf_counter)
    records: list[Record] = field(default_factory=list)


def make_picture(client: ObCLIP, load: Load, prompt: str, begin: float) -> Record:
    """One request by the real client.

    Args:
        client: connected; used by one thread at a time.
        load: its options.
        prompt: the user's.
        begin: clock at the load's begin.
    """
    start = time.perf_counter()
    record = Record(start - begin)

    def follow(phase: str, done: int, _total: int) -> None:
        if phase == "queue" and done == 0:
            record.queue_s = time.perf_counter() - start

    try:
        result = client.generate(prompt, on_progress=follow, **_options(client, load))
        record.device_s = result.report.device_s
    except QueueFull:
        record.outcome = "refused"
    except ObclipError as error:
        record.outcome = type(error).__name__
    record.total_s = time.perf_counter() - start
    return record


def _options(client: ObCLIP, load: Load) -> GenerationOptions:
    """Without a device's part the run has k steps in all, and the device decodes alone."""
    usual = client.bundle.card.defaults.steps
    return {
        "profile": load.profile,
        "switch_point": load.switch_point,
        "steps": usual if load.has_device else load.switch_point,
    }


def drive(load: Load, bundle: Path) -> dict[str, Any]:
    """Lets the users work for the given time, waits for their last pictures, and sums up."""
    crowd = Crowd(load, gevent.threadpool.ThreadPool(load.users))
    with ExitStack() as stack:
        clients = [
            stack.enter_context(ObCLIP.connect(load.address, bundle, threads=1))
            for _ in range(load.users)
        ]
        rng = np.random.default_rng(load.users)
        for client in clients:  # opens the models before the clock starts
            make_picture(client, load, candidate_set(rng, load.n).prompts[0], 0.0)
        batches, cpu_s = _batches(load.triton), _cpu_seconds()
        crowd.begin = time.perf_counter()
        _run_users(crowd, clients)
        elapsed_s = time.perf_counter() - crowd.begin
        cores = (_cpu_seconds() - cpu_s) / elapsed_s
        mean_batch = _mean(batches, _batches(load.triton))
    return summary(crowd, elapsed_s) | {"mean_batch": mean_batch, "busy_cores": cores}


def _cpu_seconds() -> float:
    """Processor time of this process, in which the devices work, and of the service it started."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _run_users(crowd: Crowd, clients: list[ObCLIP]) -> None:
    environment = Environment(user_classes=[_user_class(crowd, clients)], stop_timeout=_SETTLE_S)
    runner = environment.create_local_runner()
    runner.start(crowd.load.users, spawn_rate=crowd.load.users)
    gevent.sleep(crowd.load.duration_s)
    runner.quit()  # waits for pictures under way


def _user_class(crowd: Crowd, clients: list[ObCLIP]) -> type[User]:
    load, free = crowd.load, list(enumerate(clients))

    class PictureUser(User):
        """Asks for one picture after another."""

        if load.rate:
            wait_time = constant_throughput(load.rate / load.users)

        def on_start(self) -> None:
            """Takes a client of its own, and prompts of its own."""
            index, self.client = free.pop()
            self.rng = np.random.default_rng([load.users, index])

        @task
        def picture(self) -> None:
            """Makes one picture, in a thread."""
            prompts = candidate_set(self.rng, load.n).prompts
            prompt = str(self.rng.choice(prompts))
            made = crowd.pool.spawn(make_picture, self.client, load, prompt, crowd.begin)
            crowd.records.append(made.get())

    return PictureUser


def _batches(triton: str | None) -> tuple[int, int]:
    """Samples that Triton's step kinds computed so far, and calls of their models."""
    if triton is None:
        return 0, 0
    with InferenceServerClient(triton) as client:
        models = client.get_inference_statistics().model_stats
    kinds = [model for model in models if model.name.startswith("unet")]
    return sum(m.inference_count for m in kinds), sum(m.execution_count for m in kinds)


def _mean(before: tuple[int, int], after: tuple[int, int]) -> float | None:
    samples, calls = after[0] - before[0], after[1] - before[1]
    return samples / calls if calls else None


def summary(crowd: Crowd, elapsed_s: float) -> dict[str, Any]:
    """Throughput, percentiles and counts.

    Args:
        crowd: after its work.
        elapsed_s: from the first request's begin to the last one's end.
    """
    made = [record for record in crowd.records if record.outcome == "picture"]
    outcomes = [record.outcome for record in crowd.records]
    totals, queues = [r.total_s for r in made], [r.queue_s for r in made]
    return {
        "users": crowd.load.users,
        "pictures": len(made),
        "elapsed_s": elapsed_s,
        "per_minute": 60 * len(made) / elapsed_s,
        **{f"p{p}_s": _percentile(totals, p) for p in (50, 95, 99)},
        **{f"queue_p{p}_s": _percentile(queues, p) for p in (50, 95, 99)},
        "device_p50_s": _percentile([r.device_s for r in made], 50),
        "refused": outcomes.count("refused"),
        "errors": len(outcomes) - len(made) - outcomes.count("refused"),
        "outcomes": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        "requests": [asdict(record) for record in crowd.records],
    }


def _percentile(values: list[float], percent: int) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Draws each request's seconds over its begin, and throughput over users."""
    figure = Figure((11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    for row in rows:
        made = [r for r in row["requests"] if r["outcome"] == "picture"]
        left.plot(
            [r["begin_s"] for r in made],
            [r["total_s"] for r in made],
            "o",
            label=f"{row['users']} users",
        )
    left.set(xlabel="begin, seconds", ylabel="seconds to the picture", ylim=(0, None))
    left.grid(alpha=0.3)
    left.legend()
    right.bar([str(row["users"]) for row in rows], [row["per_minute"] for row in rows])
    right.set(xlabel="users", ylabel="pictures a minute")
    save_plot(figure, file)


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*(cell(row[column]) for column in COLUMNS))
    Console(width=160).print(table)


def section(report: dict[str, Any]) -> str:
    """The tables of the page."""
    setting, facts = report["setting"], report["machine"]
    words = (
        f"N = {setting['n']}, k = {setting['switch_point']}, profile {setting['profile']}, "
        f"{setting['duration_s']:g} s each, device's steps "
        f"{'on this machine too' if setting['has_device'] else 'left out'}; "
        f"{facts['processor']}, {facts['cores']} cores."
    )
    rows = [[cell(row[column]) for column in COLUMNS] for row in report["rows"]]
    return f"{words}\n\n{markdown_table(COLUMNS, rows)}"


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    users: Annotated[list[int] | None, typer.Option(help="At once; default: 1, then 8.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second; default: no pause.")
    ] = None,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each load.")] = 60,
    n: Annotated[int, typer.Option(help="Candidates: 2, 6 or 30.")] = 6,
    switch_point: Annotated[int, typer.Option(min=1, help="Steps on the cloud.")] = 5,
    profile: Annotated[str, typer.Option(help="How the cloud saves work.")] = "balanced",
    device: Annotated[bool, typer.Option(help="Run the device's steps, on this machine.")] = True,
    server: Annotated[
        str | None, typer.Option(help="Running service; default: start one for 8 at once.")
    ] = None,
    triton: Annotated[str | None, typer.Option(help="Its Triton, for batch sizes.")] = None,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = BUNDLE,
    json_file: Annotated[Path, typer.Option("--json", help="Write figures here.")] = Path(
        "out/load.json"
    ),
    page: Annotated[bool, typer.Option(help="Write docs/benchmarks.md and its plot.")] = False,
) -> None:
    """Drive a service with users that make pictures, and report how it does."""
    with ExitStack() as stack:
        if server is None:
            started = stack.enter_context(running_service(bundle, max_running="8"))
            server, triton = started.address, started.triton
        loads = [
            Load(server, triton, u, rate, duration, n, switch_point, profile, device)
            for u in users or (1, 8)
        ]
        rows = [drive(load, bundle) for load in loads]
    setting = {k: v for k, v in asdict(loads[0]).items() if k not in {"address", "triton", "users"}}
    report = {"rows": rows, "setting": setting, "machine": machine()}
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report, indent=2) + "\n")
    _print(rows)
    if page:
        replace_section(PAGE, "load", section(report))
        plot(rows, PICTURES / "bench-load.webp")


if __name__ == "__main__":
    typer.run(main)

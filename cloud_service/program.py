"""The command `obclip serve`."""

import asyncio
import inspect
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

from cloud_service.service import RunningService, running_service
from cloud_service.settings import Settings
from cloud_service.startup_error import CannotStart

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle. Default: the embedded family.")
    ] = None,
    model_repository: Annotated[
        Path | None, typer.Option(help="Triton's model repository. Default: made for the bundle.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Default: 127.0.0.1:50051.")
    ] = None,
    triton_url: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Use a Triton that runs already (gRPC port)."),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus metrics on this loopback port.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Plain text beyond loopback, behind a TLS proxy.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Triton's own log.")] = False,
) -> None:
    """Run the cloud service: Triton and the orchestrator, until Ctrl-C or SIGTERM.

    Each option is an OBCLIP_... variable too, e.g. OBCLIP_LISTEN. Further settings are variables
    alone:
    """
    options = {
        name: value
        for name, value in {
            "bundle": bundle,
            "model_repository": model_repository,
            "listen": listen,
            "triton_url": triton_url,
            "metrics_port": metrics_port,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "insecure": insecure or None,
            "verbose": verbose or None,
        }.items()
        if value is not None
    }
    asyncio.run(_serve(_settings(options), as_json=as_json))


def _further_settings() -> str:
    """Describes the settings that have no option."""
    options = inspect.signature(serve).parameters
    described = (
        f"- OBCLIP_{name.upper()}: {' '.join((field.description or '').split())} "
        f"Default: {TypeAdapter(Any).dump_json(field.default).decode()}"
        for name, field in Settings.model_fields.items()
        if name not in options
    )
    return "\n".join(described)


serve.__doc__ = f"{inspect.getdoc(serve)}\n\n{_further_settings()}"


def _settings(options: dict[str, Any]) -> Settings:
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise CannotStart(f"setting {name}: {first['msg']}", "see `obclip serve --help`") from error
    except SettingsError as error:  # a list that is no JSON
        raise CannotStart(str(error), 'write lists as JSON: ["bare", "fast"]') from error


async def _serve(settings: Settings, *, as_json: bool) -> None:
    """Runs the service until a signal, which is a success, or until Triton ends."""
    main = asyncio.current_task()
    assert main is not None  # noqa: S101 -- a coroutine runs in a task
    was_stopped = False

    def stop() -> None:
        nonlocal was_stopped
        if not was_stopped:  # a second Ctrl-C must not break the clean end, which is bounded
            was_stopped = True
            main.cancel()

    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        async with running_service(settings) as service:
            _announce(service, as_json=as_json)
            await service.wait_for_failure()
    except asyncio.CancelledError:
        if not was_stopped:
            raise


def _announce(service: RunningService, *, as_json: bool) -> None:
    facts = {
        "address": service.address,
        "triton": service.triton_url,
        "metrics": service.metrics_address,
        "pid": service.pid,
        "triton_pid": service.triton.pid if service.triton else None,
    }
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        return
    console = Console(soft_wrap=True)
    console.print(
        f"ObCLIP listens on [bold]{escape(service.address)}[/] ({service.card.models.family})"
    )
    console.print(f"Triton answers on {escape(str(service.triton_url))}")
    if service.metrics_address:
        console.print(f"Metrics on http://{escape(service.metrics_address)}/metrics")
    console.print("Ctrl-C ends both.")

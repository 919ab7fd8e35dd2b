"""The program's command group: the device's own commands, and those of other installed parts."""

import ast
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from device_client.commands import audit, candidates, card, generate, pull
from obclip.errors import ExitCode, ObclipError

GROUP = "obclip.commands"


@dataclass(eq=False)
class CommandUnavailable(ObclipError):
    """A command's part of the package is not installed.

    Attributes:
        command: The command.
        package: The first Python package that it misses.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INVALID
    template: ClassVar[str] = (
        "`obclip {command}` needs the Python package {package}; pip install 'obclip[cloud]'"
    )

    command: str
    package: str


def command() -> Any:
    """Returns the program, a click group.

    Commands of other parts are found by entry point, so that the device never imports them; a part
    is loaded when one of its commands runs, so that `obclip --help` stays quick.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.callback(invoke_without_command=True)(_root)
    app.command(epilog=generate.EXAMPLES)(generate.generate)
    app.command(epilog=candidates.EXAMPLES)(candidates.candidates)
    app.command(epilog=card.EXAMPLES)(card.card)
    app.command(epilog=pull.EXAMPLES)(pull.pull)
    app.command(epilog=audit.EXAMPLES)(audit.audit)
    for point in sorted(entry_points(group=GROUP)):
        _announce(app, point)
    return typer.main.get_command(app)


def _root(
    context: typer.Context,
    *,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the release and exit.")
    ] = False,
) -> None:
    """Pictures from a large cloud model that never learns which person you asked for."""
    if show_version:
        typer.echo(version("obclip"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _announce(app: typer.Typer, point: EntryPoint) -> None:
    everything = {"ignore_unknown_options": True, "allow_extra_args": True}

    @app.command(
        point.name, help=_summary(point), context_settings=everything, add_help_option=False
    )
    def announced(context: typer.Context) -> None:
        part = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        part.command(point.name)(_load(point))
        program = typer.main.get_command(part)
        code = program.main(context.args, prog_name=f"obclip {point.name}", standalone_mode=False)
        raise typer.Exit(code or 0)


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except ModuleNotFoundError as missing:
        raise CommandUnavailable(point.name, missing.name or point.module) from missing


def _summary(point: EntryPoint) -> str:
    """Returns the first line of the command's docstring, read without importing its part."""
    spec = find_spec(point.module)
    if spec is None or spec.origin is None:
        return "Not installed."
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    docstrings = [ast.get_docstring(node) for node in functions if node.name == point.attr]
    return (docstrings[0] if docstrings and docstrings[0] else "").partition("\n")[0]

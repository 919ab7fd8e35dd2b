"""`make demo`: a private portrait, made by the two programs that anybody would run, on loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from cloud_service.own_process import own_service

PROMPT: Final = (
    "a portrait of a young african woman wearing glasses and a yellow hoodie, smiling, at the beach"
)
_OBCLIP: Final = Path(sys.executable).with_name("obclip")


def main(
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path("out"),
    prompt: Annotated[str, typer.Argument(help="What to show.")] = PROMPT,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 7,
) -> None:
    """Start the service with a real Triton, make one private picture, and stop it."""
    out.mkdir(parents=True, exist_ok=True)
    picture, sheet = out / "demo.png", out / "demo-cloud.png"
    with own_service() as service:
        command = [str(_OBCLIP), "generate", prompt, "--server", service.address]
        options = ["--seed", str(seed), "--out", str(picture), "--sheet", str(sheet), "--force"]
        code = subprocess.run([*command, *options], check=False).returncode  # noqa: S603
    if code:
        raise typer.Exit(code)
    typer.echo(f"{picture}: the picture\n{sheet}: what the cloud saw, beside it")


if __name__ == "__main__":
    typer.run(main)

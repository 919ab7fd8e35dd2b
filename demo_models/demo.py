"""`make demo`: a private portrait, made by the two programs that anybody would run, on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

PROMPT: Final = (
    "a portrait of a young african woman with curly black hair, "
    "wearing glasses and a yellow hoodie, smiling, at the beach"
)
_OBCLIP: Final = Path(sys.executable).with_name("obclip")
_STOP_S: Final = 30


@contextmanager
def _service() -> Iterator[str]:
    command = [str(_OBCLIP), "serve", "--json", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            ready = process.stdout.readline() if process.stdout else ""
            if not ready:
                raise SystemExit(process.wait() or 1)
            yield json.loads(ready)["address"]
        finally:
            process.terminate()
            process.wait(_STOP_S)


def main(
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path("out"),
    prompt: Annotated[str, typer.Argument(help="What to show.")] = PROMPT,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 7,
) -> None:
    """Start the service with a real Triton, make one private picture, and stop it."""
    out.mkdir(parents=True, exist_ok=True)
    picture, sheet = out / "demo.png", out / "demo-cloud.png"
    with _service() as address:
        command = [str(_OBCLIP), "generate", prompt, "--server", address, "--seed", str(seed)]
        files = ["--out", str(picture), "--sheet", str(sheet), "--force"]
        code = subprocess.run([*command, *files], check=False).returncode  # noqa: S603
    if code:
        raise typer.Exit(code)
    typer.echo(f"{picture}: the picture\n{sheet}: what the cloud saw, beside it")


if __name__ == "__main__":
    typer.run(main)

"""What a request tells the service, on the terminal's error stream."""

import re

import typer

from device_client.leakage import declared_leakage, warnings
from device_client.prior.effective_set import effective_set
from device_client.public_side.request import request_bytes
from device_client.transformation.skeleton import Skeleton

_SLOT = re.compile(r"\[[^\[\]]*\]")


def tell_leakage(heading: str, skeleton: Skeleton) -> None:
    """Prints what is sent, what that leaks, the effective set and warnings.

    Args:
        heading: The first line.
        skeleton: The prompt with its sensitive slots emptied.
    """
    shown = _SLOT.sub(lambda slot: typer.style(slot[0], bold=True), skeleton.masked_text)
    typer.echo(f"\nSkeleton: {shown}", err=True)
    if skeleton.negative_prompt:
        typer.echo(f"Negative prompt: {skeleton.negative_prompt}", err=True)
    sent = f"{skeleton.n} candidates" if skeleton.n > 1 else "one prompt, which hides nothing"
    typer.echo(f"To be sent: {sent}, {request_bytes(skeleton):,} bytes.", err=True)
    typer.echo(heading, err=True)
    for line in declared_leakage(skeleton):
        typer.echo(f"  - {line}", err=True)
    found = effective_set(skeleton)
    if skeleton.n > 1:
        typer.echo(found.in_words(skeleton.n), err=True)
    doubt = found.warning(skeleton.n)
    for line in (*warnings(skeleton), *([doubt] if doubt else [])):
        typer.echo(f"Warning: {line}.", err=True)

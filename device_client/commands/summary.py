"""What a request tells the service, on the terminal's error stream."""

import typer

from device_client.leakage import declared_leakage, warnings
from device_client.prior.effective_set import effective_set
from device_client.transformation.skeleton import Skeleton


def tell_leakage(heading: str, skeleton: Skeleton) -> None:
    """Prints the declared leakage, the effective set and the warnings.

    Args:
        heading: The first line.
        skeleton: The prompt with its sensitive slots emptied.
    """
    typer.echo(heading, err=True)
    for line in declared_leakage(skeleton):
        typer.echo(f"  - {line}", err=True)
    found = effective_set(skeleton)
    if skeleton.n > 1:
        typer.echo(found.in_words(skeleton.n), err=True)
    doubt = found.warning(skeleton.n)
    for line in (*warnings(skeleton), *([doubt] if doubt else [])):
        typer.echo(f"Warning: {line}.", err=True)

"""What a request tells the service, in words for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_client.transformation.skeleton import Skeleton


def declared_leakage(skeleton: Skeleton) -> tuple[str, ...]:
    """Returns everything that the service, or who sees the traffic, learns from one request.

    Anything beyond this list is a bug. The list depends on the skeleton alone.

    Args:
        skeleton: The prompt with its sensitive slots emptied.
    """
    names = ", ".join(skeleton.attributes) or "none"
    block = (
        f"which block of {skeleton.n} of {skeleton.total} value combinations holds yours: "
        f"{skeleton.leakage_bits:.1f} bits",
    )
    return (
        "the prompt's words outside its sensitive slots, and the negative prompt",
        f"which sensitive attributes occur ({names}), and so N = {skeleton.n}",
        *(block if skeleton.leakage_bits else ()),
        f"the lexicon's version ({skeleton.lexicon_version}) and the model bundle",
        "steps, guidance scale, switch point, profile and seed",
        "the service's name as you typed it, and how long you are ready to wait",
        "the time, the size of the traffic, how long the connection is kept open and this device's "
        "network address",
    )


def warnings(skeleton: Skeleton) -> tuple[str, ...]:
    """Returns what the user may want to leave out: public words that hint at a hidden value.

    Args:
        skeleton: The prompt with its sensitive slots emptied.
    """
    return tuple(f'"{word}" may give the {name} away' for name, word in skeleton.hints)

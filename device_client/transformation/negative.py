"""The negative prompt: one public text for all candidates, so nothing sensitive may stay in it."""

from __future__ import annotations

from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.marking import mark


def without_attributes(text: str, lexicon: Lexicon) -> str:
    """Leaves out every comma-separated item that holds a sensitive word.

    Args:
        text: Canonicalised negative prompt.
        lexicon: The words.

    Returns:
        A text on which this function is the identity.
    """
    lines = [mark(item.strip(), lexicon) for item in text.split(",")]
    return ", ".join(line.text() for line in lines if line.keys and not any(line.marks))

"""What a server sees of one request, and the truth that it does not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from device_client.limits import DEFAULT_MAX_CANDIDATES
from device_client.private_side.choice import index_of
from device_client.transformation import Lexicon, transform
from obclip.errors import PromptRefused


@dataclass(frozen=True)
class Transcript:
    """The prompt's share of a request.

    Attributes:
        candidates: In the order of the wire; empty if the prompt is refused.
        negative_prompt: As sent.
        lexicon_version: As sent.
        block: Number of the block, if only one of several was sent.
    """

    candidates: tuple[str, ...] = field(repr=False, default=())
    negative_prompt: str = field(repr=False, default="")
    lexicon_version: str = ""
    block: int | None = None


@dataclass(frozen=True)
class Hidden:
    """A transcript with its truth.

    Attributes:
        seen: What the server sees.
        truth: Place of the user's candidate; secret.
    """

    seen: Transcript
    truth: int = field(repr=False)


# Plays the user's device; refusals are empty transcripts.
Hide = Callable[[str], Hidden]


@dataclass(frozen=True)
class Device:
    """A device with fixed public settings.

    Attributes:
        negative_prompt: Of every request.
        max_candidates: Most candidates of a request.
        lexicon: The words to know; the shipped ones by default.
    """

    negative_prompt: str = field(repr=False, default="")
    max_candidates: int = DEFAULT_MAX_CANDIDATES
    lexicon: Lexicon | None = field(repr=False, default=None)

    def hide(self, prompt: str) -> Hidden:
        """Returns what a server would see of a prompt, and the truth."""
        try:
            made = transform(
                prompt,
                self.negative_prompt,
                lexicon=self.lexicon,
                max_candidates=self.max_candidates,
            )
        except PromptRefused:
            return Hidden(Transcript(), 0)
        skeleton = made.skeleton
        seen = Transcript(
            skeleton.candidates(),
            skeleton.negative_prompt,
            skeleton.lexicon_version,
            skeleton.block,
        )
        return Hidden(seen, index_of(made.choice))

"""Candidate sets in the words of the demo family, with what each candidate should look like."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np

from demo_models.portrait import AGES, ETHNICITIES

# As the device's transformation orders them; a test compares.
ATTRIBUTES: Final = {2: ("gender",), 6: ("gender", "age"), 30: ("gender", "age", "ethnicity")}
_VALUES: Final = {"gender": ("female", "male"), "age": AGES, "ethnicity": ETHNICITIES}
_PERSON: Final = {"male": "man", "female": "woman"}
_PLACES: Final = {"forest": "in a forest", "beach": "on a beach", "city": "in a city"}
_EXPRESSIONS: Final = ("smiling", "sad", "surprised")


@dataclass(frozen=True)
class CandidateSet:
    """All candidates of one prompt.

    Attributes:
        prompts: N prompts in canonical order.
        wanted: attributes of each candidate that its prompt names.
    """

    prompts: tuple[str, ...]
    wanted: tuple[dict[str, Any], ...]


def candidate_set(rng: np.random.Generator, n: int) -> CandidateSet:
    """Draws the public words of a prompt and names every candidate.

    Args:
        rng: source of randomness.
        n: 2, 6 or 30.
    """
    names = ATTRIBUTES[n]
    public = {
        "background": str(rng.choice(list(_PLACES))),
        "expression": str(rng.choice(_EXPRESSIONS)),
        "glasses": bool(rng.random() < 0.5),
    }
    choices = [dict(zip(names, v, strict=True)) for v in product(*(_VALUES[a] for a in names))]
    wanted = tuple(public | choice for choice in choices)
    return CandidateSet(tuple(map(_prompt, wanted)), wanted)


def _prompt(wanted: dict[str, Any]) -> str:
    words = [wanted[name] for name in ("age", "ethnicity") if name in wanted]
    words.append(_PERSON[wanted["gender"]])
    article = "an" if words[0][0] in "aeiou" else "a"
    glasses = " wearing glasses" if wanted["glasses"] else ""
    place = _PLACES[wanted["background"]]
    return f"a portrait of {article} {' '.join(words)}{glasses}, {wanted['expression']}, {place}"

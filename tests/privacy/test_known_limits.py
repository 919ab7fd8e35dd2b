"""What docs/threat-model.md says is not hidden, as tests that are expected to fail.

When one passes, the lexicon has learned the word: strike it from the document and from here.
"""

import pytest

from device_client.transformation import transform
from obclip.errors import PromptRefused

LIMITS = {
    "a name that is an ordinary word": ("Grace in a red coat", "grace"),
    "a family": ("the Nguyens at the dinner table", "nguyens"),
    "a language other than English": ("garota na praia", "garota"),
    "a plural noun for an age before a verb": ("the young cross the street", "young"),
    "a participle that may be a dish's": ("an Italian cooked pasta", "italian"),
    "an age that is alluded to": ("portrait of a sweet sixteen", "sixteen"),
    "an age glued to a letter": ("selfie, 33F, long hair", "33f"),
    "an artist's credit": ("art by Maria Rossi", "maria"),
    "a list of friends that reads like one": (
        "a party, Maria Rossi, Anna Bianchi, Carla Verdi",
        "maria",
    ),
    "a place": ("a woman in a sauna in Helsinki", "helsinki"),
}


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="a limit that is documented")
@pytest.mark.parametrize(("prompt", "word"), LIMITS.values(), ids=LIMITS)
def test_the_word_is_hidden(prompt: str, word: str) -> None:
    try:
        candidates = transform(prompt).skeleton.candidates()
    except PromptRefused:
        return
    assert not any(word in candidate.lower() for candidate in candidates)

"""What the parser cannot vouch for is refused before it is read."""

from __future__ import annotations

import re
import unicodedata

from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.tokens import fold
from obclip.errors import PromptRefused

MAX_CHARACTERS = 4000

_TAG = re.compile(r"<[^<>]*:[^<>]*>|</?\w+>")
_WILDCARD = re.compile(r"__[\w/-]+__|\{[^{}]*\|[^{}]*\}|\[[^\[\]]*\|[^\[\]]*\]|\$\{?\w+")
_MIXED = re.compile(r"(?<!\w)(?!\d+(?:girl|boy)s?\b)(?=\w*[^\W\d_])[\w@$!]*[\d@$][\w@$!]*(?!\w)")
_SPACED = re.compile(r"(?<!\w)(?:[a-z] )+[a-z](?!\w)")
_CUT = re.compile(r"(?<!\w)[a-z]+(?:[-*_.()\[\]/|~^]+[a-z]+)+(?!\w)")
_SIGNS = re.compile(r"[^a-z]+")
_CORE = re.compile("(?:fe)?males?|(?:gentle)?(?:wo)?m[ae]n|girls?|boys?|lad(?:y|ies|s)")
_STARRED = re.compile(
    r"w\*m\*n|w\*m[ae]n|wom\*n|m\*n|g\*rls?|b\*ys?|f\*males?|m\*les?|l\*d(?:y|ies|s)"
    r"|g\*ntle(?:wo)?m[ae]n|gentlem\*n|gentlewom\*n"
)
_LONGEST = 20  # letters of a word that single letters may spell
_LEET = tuple(str.maketrans("013457@$!68", f"o{one}eastas{one}bb") for one in "il")
"""What digits and signs may stand for."""
_PLURAL_SIGNS = "5$"
"""Signs for an "s" that may make a word of another: "5he", "Mr5"."""
_SPACED_PAIRS = frozenset({"he", "mr", "ms"})
_REMEDY = "write it in plain English words"


def refuse_unreadable(text: str, lexicon: Lexicon) -> None:
    """Refuses what could hide a sensitive word from the parser.

    Args:
        text: Canonicalised text.
        lexicon: The words.

    Raises:
        PromptRefused: With the reason, which quotes nothing of the text.
    """
    if len(text) > MAX_CHARACTERS:
        raise PromptRefused(f"it has more than {MAX_CHARACTERS} characters", "shorten it")
    if not text.isascii() and any(_is_foreign(character) for character in text):
        raise PromptRefused("it has letters of another script than the Latin one", _REMEDY)
    if "<" in text and _TAG.search(text):
        raise PromptRefused("it loads a model by a tag", "remove the tag in angle brackets")
    if any(sign in text for sign in "{[$_") and _WILDCARD.search(text):
        raise PromptRefused("it has a wildcard or alternatives", "choose one and write it out")
    folded = fold(text)
    hidden = set()
    for match in _MIXED.finditer(folded):
        hidden |= {match[0].translate(table) for table in _LEET}
        hidden.add(match[0].strip(_PLURAL_SIGNS))
    for match in _SPACED.finditer(folded):
        letters = match[0].replace(" ", "")
        hidden |= _parts(letters) | ({letters} & _SPACED_PAIRS)
    cut = any(
        _STARRED.fullmatch(match[0]) or _CORE.fullmatch(_SIGNS.sub("", match[0]))
        for match in _CUT.finditer(folded)
    )
    if cut or not hidden.isdisjoint(lexicon.words):
        raise PromptRefused(
            "a sensitive word in it is disguised by digits, signs or spaces", _REMEDY
        )


def _parts(letters: str) -> set[str]:
    """Returns what a run of single letters may spell."""
    length = len(letters)
    return {
        letters[start:end]
        for start in range(length)
        for end in range(start + 3, min(start + _LONGEST, length) + 1)
    }


def _is_foreign(character: str) -> bool:
    return (
        character.isalpha()
        and not character.isascii()
        and not unicodedata.name(character, "").startswith(
            ("LATIN", "FEMININE ORDINAL", "MASCULINE ORDINAL")
        )
    )

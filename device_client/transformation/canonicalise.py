"""One spelling for what looks the same: Unicode, spaces, quotes, look-alikes, emoji."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_REPLACED = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u00b4": "'", "`": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-",
        "\u2015": "-", "\u2212": "-",
        "\u00df": "ss",
    }
    | {chr(first + n): chr(97 + n) for first in (0x1F150, 0x1F170) for n in range(26)}
)  # fmt: skip
# Letters of the Cyrillic, Greek and Armenian scripts, small capitals and phonetic signs that look
# like Latin ones; Unicode TR 39.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁԛԝһӏѵгАВЕЗКМНОРСТУХІЈЅԌαορυνικετχΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսհցℓᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɡɑɩ",
    "aeopcyxijsdqwhlvrabezkmhopctyxijsgaopuviketxabezhikmnoptyxonuhglabcdefghijklmnoprstuvwyzgai",
)
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]+")
_REGIONAL = ("\U0001f1e6", "\U0001f1ff")
_TONES = ("\U0001f3fb", "\U0001f3ff")
_HAIR = ("\U0001f9b0", "\U0001f9b3")
_FEMALE, _MALE, _JOINER = "\u2640", "\u2642", "\u200d"


def canonicalise(text: str, pictures: Mapping[str, str]) -> str:
    """Returns the text in its canonical spelling.

    NFKC; no control, format, private-use or combining characters; plain quotes and hyphens; single
    spaces; Latin letters for look-alikes; words for pictures of persons, without skin tones.

    Args:
        text: Any text of a user.
        pictures: Words for emoji.

    Returns:
        A text on which this function is the identity.
    """
    if not text.isascii():
        text = _plain(text, pictures)
    elif not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    if "`" in text:
        text = text.replace("`", "'")
    return _SPACES.sub(" ", text).strip()


def _plain(text: str, pictures: Mapping[str, str]) -> str:
    text = "".join(_in_words(text, place, pictures) for place in range(len(text)))
    text = unicodedata.normalize("NFKC", text).translate(_REPLACED)
    text = "".join(c if _is_kept(c) else " " if c.isspace() else "" for c in text)
    return unicodedata.normalize("NFKC", _WORD.sub(_latin, text))


def _in_words(text: str, place: int, pictures: Mapping[str, str]) -> str:
    character = text[place]
    if any(first <= character <= last for first, last in (_REGIONAL, _TONES, _HAIR)):
        return ""
    if character in {_FEMALE, _MALE} and text[place - 1 : place] == _JOINER:
        return ""
    words = pictures.get(character)
    if words is None:
        return character
    joined = text[place + 1 : place + 5].lstrip(
        "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff\ufe0f"
    )
    sex = {_JOINER + _FEMALE: "female ", _JOINER + _MALE: "male "}.get(joined[:2], "")
    return f" {sex}{words} "


def _latin(match: re.Match[str]) -> str:
    word = match[0]
    if word.isascii():
        return word
    changed = word.translate(_LOOK_ALIKES)
    return changed if all(_is_latin(character) for character in changed) else word


def _is_latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith("LATIN")


def _is_kept(character: str) -> bool:
    return unicodedata.category(character) not in {
        "Cc",
        "Cf",
        "Co",
        "Cn",
        "Cs",
        "Mn",
        "Me",
        "Zl",
        "Zp",
    }

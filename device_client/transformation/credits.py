"""Artists' credits ("by ...", "in the style of ..."), whose names stay: they are not shown."""

from __future__ import annotations

from functools import lru_cache

from device_client.transformation.lexicon.model import Lexicon

_SEPARATORS = frozenset({",", "&", "and", "|", ";", "x", "+"})
_MAKERS = frozenset({"painter", "artist", "artists", "photographer", "director"})
_AFTER_CREDIT = _MAKERS - {"artists"} | {"of", "by", "the"}
_MAX_TOKENS = 8
_MIN_NAME_LIST = 3
_MAX_STYLE_WORDS = 4


def credited_places(keys: list[str], lexicon: Lexicon) -> set[int]:
    """Finds the words of names in artists' credits.

    After a first credit, a full name between commas counts too: ", alphonse mucha,".

    Args:
        keys: Folded tokens.
        lexicon: Words that begin a credit; names and ordinary words.

    Returns:
        The words' places.
    """
    places: set[int] = set()
    _add_name_lists(places, keys, lexicon)
    for place, key in enumerate(keys):
        if key in lexicon.context.credits and place not in places:
            start = place + 1
            passed = _AFTER_CREDIT if key in _MAKERS else _AFTER_CREDIT | {"and"}
            while start < len(keys) and keys[start] in passed:
                start += 1
            if place and keys[place - 1] in lexicon.context.done_by:
                continue
            if start > place + 1 or key in lexicon.context.direct_credits:
                _add_credit(places, keys, start, lexicon)
    if places:
        _add_bare_names(places, keys, lexicon)
    _add_styles(places, keys, lexicon)
    return places


def _end_of_item(keys: list[str], start: int) -> int:
    end = start
    while end < len(keys) and keys[end] not in _SEPARATORS:
        end += 1
    return end


def _add_credit(places: set[int], keys: list[str], start: int, lexicon: Lexicon) -> None:
    while start < len(keys):
        end = _end_of_item(keys, start)
        length = name_length(tuple(keys[start:end]), lexicon)
        places.update(range(start, start + length))
        if length == 0 or start + length < end:
            return
        start = end
        while start < len(keys) and (keys[start] in _SEPARATORS or keys[start] == "by"):
            start += 1


def _add_bare_names(places: set[int], keys: list[str], lexicon: Lexicon) -> None:
    start = min(places)
    while start < len(keys):
        end = _end_of_item(keys, start)
        length = end - start
        if length > 1 and name_length(tuple(keys[start:end]), lexicon) == length:
            places.update(range(start, end))
        start = end + 1


def _add_name_lists(places: set[int], keys: list[str], lexicon: Lexicon) -> None:
    """Adds three full names in a row, unless the prompt begins with them."""
    run: list[range] = []
    start = _end_of_item(keys, 0) + 1
    while start < len(keys):
        end = _end_of_item(keys, start)
        full = end - start > 1 and name_length(tuple(keys[start:end]), lexicon) == end - start
        run = [*run, range(start, end)] if full else []
        if len(run) >= _MIN_NAME_LIST:
            places.update(place for names in run for place in names)
        start = end + 1


def _add_styles(places: set[int], keys: list[str], lexicon: Lexicon) -> None:
    """Adds the names in "james jean style" and "james jean art style"."""
    for place in [place for place, key in enumerate(keys) if key == "style"]:
        here = place - 2 if place and keys[place - 1] == "art" else place - 1
        if here > 0 and _is_given_and_word(keys[here - 1], keys[here], lexicon):
            places.add(here)
            here -= 1
        while here >= max(0, place - _MAX_STYLE_WORDS) and is_name(keys[here], lexicon):
            places.add(here)
            here -= 1


def _is_given_and_word(given: str, key: str, lexicon: Lexicon) -> bool:
    """Tells the family name of "edward hopper", which is a word too."""
    name = lexicon.first_names.get(given)
    if name is None or name.weak or key in lexicon.words:
        return False
    is_word = key in lexicon.dictionary and key not in lexicon.persons
    return is_word or key in lexicon.common_surnames


@lru_cache(maxsize=4096)
def name_length(item: tuple[str, ...], lexicon: Lexicon) -> int:
    """Returns how many tokens at an item's beginning look like a name; 0 if none is a name."""
    length = 0
    while length < min(len(item), _MAX_TOKENS) and _belongs(item, length, lexicon):
        length += 1
    return length if any(is_name(key, lexicon) for key in item[:length]) else 0


def _belongs(item: tuple[str, ...], place: int, lexicon: Lexicon) -> bool:
    key = item[place]
    if place and _is_elder(item[place - 1 : place + 2], key):
        return True
    if key in lexicon.words or key in lexicon.persons:
        return place > 0 and is_family_name(item[place - 1 : place + 2], lexicon)
    initial = len(key) == 1 and key.isalpha()
    return initial or key in lexicon.context.name_particles or is_name(key, lexicon)


def is_family_name(around: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Tells a word for a person that is a name: "stephen king", "john singer sargent".

    Args:
        around: The token before the word, the word, and the token after it, if there is one.
        lexicon: The words.
    """
    return around[0] in lexicon.first_names and (
        around[1] in lexicon.context.surname_marks or around[-1] in lexicon.surnames
    )


def _is_elder(around: tuple[str, ...], key: str) -> bool:
    """Tells "bruegel the elder"."""
    if key == "the":
        return around[-1] in {"elder", "younger"}
    return key in {"elder", "younger"} and around[0] == "the"


@lru_cache(maxsize=16384)
def is_name(key: str, lexicon: Lexicon) -> bool:
    """Tells a given name, a family name, or a word that is no ordinary one."""
    if key in lexicon.first_names or key in lexicon.surnames:
        return True
    participle = len(key) > 5 and key.endswith("ing")
    return len(key) > 1 and key.isalpha() and not participle and key not in lexicon.ordinary

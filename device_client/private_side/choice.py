"""The secret: which candidate the user meant."""

from typing import NoReturn, Self


class Choice:
    """Which candidate is the user's, and the user's own words.

    A value of this type can only be handed on. It has no content when printed, formatted or
    logged, and it can be neither serialised, copied, compared nor hashed, so that it cannot slip
    into a message, a cache key, a log line or a branch of the public side. Only `index_of` and
    `own_words_of`, below, read it, and only the private side may import them.
    """

    __slots__ = ("__index", "__own_words")

    def __init__(self, index: int, own_words: str) -> None:
        """Seals a choice.

        Args:
            index: Place of the user's candidate in the canonical order, 0..N-1.
            own_words: The user's own prompt, for the text encoder of the device.
        """
        object.__setattr__(self, "_Choice__index", index)
        object.__setattr__(self, "_Choice__own_words", own_words)

    def __repr__(self) -> str:
        return "<choice>"

    def __format__(self, format_spec: str) -> str:
        return "<choice>"

    def __init_subclass__(cls) -> None:
        raise TypeError("Choice cannot be subclassed: a subclass could print it")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("a Choice cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError("a Choice cannot be changed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Choice cannot be pickled or copied")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Choice cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Choice cannot be pickled or copied")

    def __copy__(self) -> Self:
        raise TypeError("a Choice cannot be pickled or copied")

    def __deepcopy__(self, memo: object) -> Self:
        raise TypeError("a Choice cannot be pickled or copied")

    def __eq__(self, other: object) -> bool:
        raise TypeError("a Choice cannot be compared")

    def __ne__(self, other: object) -> bool:
        raise TypeError("a Choice cannot be compared")

    def __bool__(self) -> bool:
        raise TypeError("a Choice has no truth value")

    __hash__ = None  # type: ignore[assignment]  # the language's way to say "not hashable"


def index_of(choice: Choice) -> int:
    """Returns the place of the user's candidate, 0..N-1."""
    return int(object.__getattribute__(choice, "_Choice__index"))


def own_words_of(choice: Choice) -> str:
    """Returns the user's own prompt."""
    return str(object.__getattribute__(choice, "_Choice__own_words"))

"""The family's tokenizer, read from the bundle's tokenizer.json."""

import json
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from obclip.errors import InvalidBundle


class Tokenizer:
    """Text to token ids, and what the vocabulary does not know.

    Attributes:
        max_tokens: L, tokens that the text encoder reads, begin and end marks included.
    """

    def __init__(self, path: Path, max_tokens: int, pad_token_id: int) -> None:
        """Reads the tokenizer.

        Args:
            path: The tokenizer.json.
            max_tokens: L >= 2.
            pad_token_id: Fills up to L.

        Raises:
            InvalidBundle: The file cannot be read.
        """
        self.max_tokens = max_tokens
        self._whole = _load(path)
        self._padded = _load(path)
        self._padded.enable_truncation(max_tokens)
        self._padded.enable_padding(pad_id=pad_token_id, length=max_tokens)
        self._unknown_id = _unknown_id(self._whole)

    def ids(self, text: str) -> NDArray[np.int64]:
        """Returns (L,) int64 token ids; what exceeds L is cut, what falls short is padded."""
        return np.array(self._padded.encode(text).ids, dtype=np.int64)

    def whole_ids(self, text: str) -> list[int]:
        """Returns the token ids of the whole text, however long, begin and end marks included."""
        return list(self._whole.encode(text).ids)

    def count(self, text: str) -> int:
        """Returns the number of tokens of the whole text, begin and end marks included."""
        return len(self.whole_ids(text))

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Returns the words of `text` that the vocabulary lacks, each once, in order."""
        encoding = self._whole.encode(text)
        tokens = zip(encoding.ids, encoding.special_tokens_mask, encoding.offsets, strict=True)
        words = [
            text[start:end]
            for token, special, (start, end) in tokens
            if token == self._unknown_id and not special
        ]
        return tuple(dict.fromkeys(words))


def _load(path: Path) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as failure:  # tokenizers raises plain Exception
        raise InvalidBundle(str(path), "is no tokenizer that `tokenizers` reads") from failure
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _unknown_id(tokenizer: tokenizers.Tokenizer) -> int | None:
    token = json.loads(tokenizer.to_str())["model"].get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)

"""Prompt text to token ids."""

from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from obclip.card import TextFormat
from obclip.errors import InvalidBundle, InvalidRequest


class PromptTokenizer:
    """The bundle's tokenizer, padding to one length and never cutting.

    Args:
        path: the bundle's tokenizer/tokenizer.json.
        text: length and padding.

    Raises:
        InvalidBundle: the file is absent or no tokenizer.
    """

    def __init__(self, path: Path, text: TextFormat) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises Exception itself
            raise InvalidBundle(str(path), "is not a tokenizer that can be read") from error
        self._tokenizer.no_truncation()  # a silently cut prompt would be another prompt
        self._tokenizer.no_padding()
        self._text = text

    def encode(self, prompt: str, field: str) -> NDArray[np.int64]:
        """Token ids of one prompt, begin and end marks included.

        Args:
            prompt: the text.
            field: the request's field, for the error.

        Returns:
            (max_tokens,) int64, padded with the pad token.

        Raises:
            InvalidRequest: the prompt has more tokens than the text encoder takes.
        """
        ids = self._tokenizer.encode(prompt).ids
        limit = self._text.max_tokens
        if len(ids) > limit:
            raise InvalidRequest(
                field, f"{len(ids)} tokens where {limit} fit", "shorten the prompt"
            )
        padded = np.full(limit, self._text.pad_token_id, np.int64)
        padded[: len(ids)] = ids
        return padded

"""Token embeddings of the user's own words."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_client.private_side.graph import Graph
from device_client.tokenizer import Tokenizer


class TextEncoder:
    """The bundle's text encoder."""

    def __init__(self, path: Path, tokenizer: Tokenizer, threads: int) -> None:
        """Opens the graph `input_ids (B, L) int64 -> last_hidden_state (B, L, D)`.

        Args:
            path: The .onnx file.
            tokenizer: Turns text into L token ids.
            threads: Threads for one operator.

        Raises:
            InvalidBundle: The graph cannot be opened.
        """
        self._graph = Graph(path, frozenset({"input_ids"}), threads)
        self._tokenizer = tokenizer

    def encode(self, texts: tuple[str, ...]) -> NDArray[np.float32]:
        """Returns the embeddings, (len(texts), L, D) float32; tokens beyond L are cut."""
        ids = np.stack([self._tokenizer.ids(text) for text in texts])
        return self._graph.run(input_ids=ids)

"""Training of the text encoder: every position behind the prompt must tell all attributes.

The denoisers read text through cross-attention alone. A text encoder whose trailing positions (end
mark and padding) each carry the whole description, linearly decodable, gives them from the first
step what a CLIP gives Stable Diffusion; it is frozen afterwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextModel

from demo_models import architecture
from demo_models.portrait import VALUES
from demo_models.tokenizer import END, PAD, token_ids
from demo_models.training.dataset import open_dataset


class TextReader(nn.Module):
    """The text encoder with one linear head per attribute, used for its training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = architecture.text_encoder()
        width = architecture.TEXT_WIDTH
        self.heads = nn.ModuleList([nn.Linear(width, len(v)) for v in VALUES.values()])

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Returns (B, L, classes) logits per attribute for (B, L) token ids."""
        hidden = self.encoder(input_ids=tokens).last_hidden_state
        return [head(hidden) for head in self.heads]


class TextEncoderTask:
    """Cross-entropy of every attribute at every trailing position.

    Args:
        data: Folder of the training set.
        held_out: Folder of the held-out set, for the figures.
    """

    def __init__(self, data: Path, held_out: Path) -> None:
        self.network: nn.Module = TextReader()
        self._data, self._held_out = open_dataset(data), open_dataset(held_out)
        ids = token_ids()
        self._trailing = torch.tensor([ids[PAD], ids[END]])

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the mean cross-entropy of a random batch of captions."""
        rows = rng.integers(len(self._data), size=count)
        variants = rng.integers(self._data.tokens.shape[1], size=count)
        tokens = torch.from_numpy(self._data.tokens[rows, variants].astype(np.int64))
        labels = torch.from_numpy(self._data.attributes[rows]).long()
        trailing = torch.isin(tokens, self._trailing)
        losses = []
        for i, logits in enumerate(self.network(tokens)):
            wanted = labels[:, i, None].expand_as(tokens)[trailing]
            losses.append(functional.cross_entropy(logits[trailing].float(), wanted))
        return torch.stack(losses).mean(), {}

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes how often the last position names each attribute of held-out captions."""
        tokens = torch.from_numpy(self._held_out.tokens[:1000, 0].astype(np.int64))
        labels = torch.from_numpy(self._held_out.attributes[:1000].astype(np.int64))
        words = []
        for i, (name, logits) in enumerate(zip(VALUES, network(tokens), strict=True)):
            hits = (logits[:, -1].argmax(1) == labels[:, i]).float().mean()
            words.append(f"{name} {hits:.3f}")
        (folder / f"accuracy-{step}.txt").write_text("  ".join(words) + "\n")


def load_text_encoder(weights: Path) -> CLIPTextModel:
    """Returns the trained text encoder in evaluation mode."""
    reader = TextReader()
    reader.load_state_dict(torch.load(weights, weights_only=True))
    return reader.encoder.eval().requires_grad_(False)

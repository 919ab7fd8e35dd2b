"""What a bundle's card says and no file of the pipeline does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obclip.card import FOLDERS, Defaults, ModelCard, ModelDigests
from obclip.errors import InvalidBundle

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class CardSettings:
    """The operator's part of a card.

    Attributes:
        family: name of the model family, e.g. "obclip-portraits".
        licence: SPDX expression of the weights.
        wire_type: "float16" or "float32", type of the latents that the cloud sends.
        defaults: settings that suit the family.

    Raises:
        ValueError: the family's name is not one that a card takes.
    """

    family: str
    licence: str
    wire_type: str
    defaults: Defaults

    def __post_init__(self) -> None:
        # The card refuses a bad name too, but only after minutes of export.
        ModelDigests(self.family, *["0" * 64] * len(FOLDERS))

    @classmethod
    def of_folder(cls, pipeline: Path) -> CardSettings:
        """The settings of the folder's old card, or a start for a folder that has none."""
        try:
            card = ModelCard.load(pipeline)
        except InvalidBundle:
            return cls(pipeline.resolve().name, "Apache-2.0", "float32", Defaults(25, 2.5, 10))
        return cls(card.models.family, card.licence, card.latents.wire_type, card.defaults)

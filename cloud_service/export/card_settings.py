"""What a bundle's card says and no file of the pipeline does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obclip.card import FOLDERS, Defaults, ModelCard, ModelDigests, require_licence
from obclip.errors import InvalidBundle
from obclip.lcm import Distillation

if TYPE_CHECKING:
    from pathlib import Path

UNSTATED = "LicenseRef-unstated"  # SPDX's form of a licence that it does not list


@dataclass(frozen=True)
class CardSettings:
    """The operator's part of a card.

    Attributes:
        family: name of the model family, e.g. "obclip-portraits".
        licence: SPDX expression of the weights.
        wire_type: "float16" or "float32", type of the latents that the cloud sends.
        defaults: settings that suit the family.
        device_steps: of the device's whole run after a step-distilled cloud.
        shift: dt, how many steps later the device goes on after a step-distilled cloud.

    Raises:
        ValueError: a value is not one that a card takes.
    """

    family: str
    licence: str
    wire_type: str
    defaults: Defaults
    device_steps: int = 25
    shift: int = 8

    def __post_init__(self) -> None:
        # The card refuses them too, but only after minutes of export.
        ModelDigests(self.family, *["0" * 64] * len(FOLDERS))
        Distillation(
            1, 1.0, embeds_guidance=False, device_steps=self.device_steps, shift=self.shift
        )
        require_licence(self.licence)

    @classmethod
    def of_folder(cls, bundle: Path, *, is_distilled: bool = False) -> CardSettings:
        """The settings of the folder's old card, or a start for a folder that has none.

        Args:
            bundle: the folder.
            is_distilled: whether the cloud's UNet was distilled to few steps.
        """
        try:
            card = ModelCard.load(bundle)
        except InvalidBundle:
            usual = Defaults(8, 8.0, 4) if is_distilled else Defaults(25, 7.5, 10)
            return cls(bundle.resolve().name, UNSTATED, "float16", usual)
        own = card.distillation
        more = () if own is None else (own.device_steps, own.shift)
        return cls(card.models.family, card.licence, card.latents.wire_type, card.defaults, *more)

"""The model bundle on this device."""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from device_client.tokenizer import Tokenizer
from obclip.card import DEVICE_PARTS, ModelCard, TextFormat
from obclip.errors import InvalidBundle


@dataclass(frozen=True)
class Bundle:
    """A folder in the layout of a diffusers pipeline, with its card.

    Attributes:
        folder: Where it lies.
        card: What it says about itself; the files were compared with its digests.
    """

    folder: Path
    card: ModelCard

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The family's tokenizer."""
        return _tokenizer(self.folder, self.card.text)

    @cached_property
    def device_text_folder(self) -> Path:
        """Where the device's own text encoder and tokenizer lie; the folder where they are shared.

        An own one is part of the device's UNet: digests cover both together.
        """
        return self.folder if self.card.device_text is None else self.folder / "device_unet"

    @cached_property
    def device_tokenizer(self) -> Tokenizer:
        """The tokenizer of the device's own text encoder, or the family's."""
        if self.card.device_text is None:
            return self.tokenizer
        return _tokenizer(self.device_text_folder, self.card.device_text)


def _tokenizer(folder: Path, text: TextFormat) -> Tokenizer:
    path = folder / "tokenizer" / "tokenizer.json"
    return Tokenizer(path, text.max_tokens, text.pad_token_id)


def open_bundle(folder: Path | None = None) -> Bundle:
    """Opens a bundle and compares the parts that the device runs with their digests.

    Args:
        folder: The bundle's folder; None is the embedded family.

    Raises:
        InvalidBundle: A file is missing or cannot be read.
        ModelMismatch: A file is not the one that the card names.
    """
    folder = folder or embedded_folder()
    card = ModelCard.load(folder)
    card.verify(folder, DEVICE_PARTS)
    return Bundle(folder, card)


def embedded_folder() -> Path:
    """Returns the folder of the model family that is installed with the package.

    It is data, so it is found without importing its package.

    Raises:
        InvalidBundle: It is not installed.
    """
    spec = find_spec("demo_models")
    if spec is None or not spec.submodule_search_locations:
        raise InvalidBundle("demo_models", "is not installed")
    return Path(spec.submodule_search_locations[0]) / "weights"

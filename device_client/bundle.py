"""The model bundle on this device."""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from device_client.tokenizer import Tokenizer
from obclip.card import ModelCard
from obclip.errors import InvalidBundle

# What the device runs itself; the cloud's UNet may be absent.
DEVICE_PARTS = ("text_encoder", "tokenizer", "device_unet", "vae_decoder")


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
        text = self.card.text
        path = self.folder / "tokenizer" / "tokenizer.json"
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

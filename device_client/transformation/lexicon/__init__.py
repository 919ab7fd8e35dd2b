"""The words that the transformation knows, as data files, and their loader."""

from device_client.transformation.lexicon.loading import load_lexicon
from device_client.transformation.lexicon.model import Lexicon

__all__ = ["Lexicon", "load_lexicon"]

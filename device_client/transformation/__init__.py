"""Oblivious transformation: a prompt becomes a public skeleton and a private choice."""

from device_client.transformation.budget import TokenBudget
from device_client.transformation.lexicon import Lexicon, load_lexicon
from device_client.transformation.skeleton import Skeleton, Slot
from device_client.transformation.transform import DEFAULT_CANDIDATES, Transformation, transform
from obclip.errors import PromptRefused as TransformationRefused

__all__ = [
    "DEFAULT_CANDIDATES",
    "Lexicon",
    "Skeleton",
    "Slot",
    "TokenBudget",
    "Transformation",
    "TransformationRefused",
    "load_lexicon",
    "transform",
]

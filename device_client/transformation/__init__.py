"""Oblivious transformation: a prompt becomes a public skeleton and a private choice."""

from device_client.transformation.budget import TokenBudget
from device_client.transformation.lexicon import Lexicon, load_lexicon
from device_client.transformation.skeleton import Skeleton, Slot
from device_client.transformation.transform import Transformation, transform

__all__ = [
    "Lexicon",
    "Skeleton",
    "Slot",
    "TokenBudget",
    "Transformation",
    "load_lexicon",
    "transform",
]

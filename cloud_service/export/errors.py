"""The one error of an export."""

from dataclasses import dataclass
from typing import ClassVar

from obclip.errors import ObclipError


@dataclass(eq=False)
class ExportFailed(ObclipError):
    """A pipeline, a weight or a graph cannot be exported as it is.

    Attributes:
        subject: the file, folder or setting.
        reason: what is wrong with it, both values where two differ.
        remedy: what to do about it.
    """

    template: ClassVar[str] = "{subject}: {reason}; {remedy}"

    subject: str
    reason: str
    remedy: str

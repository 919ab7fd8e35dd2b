"""What keeps the service from starting."""

from dataclasses import dataclass
from typing import ClassVar

from obclip.errors import ExitCode, ObclipError


@dataclass(eq=False)
class CannotStart(ObclipError):
    """The operator has to change something before the service can run.

    Attributes:
        reason: what is wrong, e.g. "libpython3.11.so.1.0 is missing".
        remedy: what to do about it.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE
    template: ClassVar[str] = "{reason}; {remedy}"

    reason: str
    remedy: str


class TritonCrashed(CannotStart):
    """tritonserver was ended by a signal before it was ready; another start may succeed."""

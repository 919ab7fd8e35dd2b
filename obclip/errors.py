"""Every error that a user may see, its exit code, and the one table from errors to gRPC statuses.

Errors carry data (a field's name, a count, a digest), never prompt text or numbers of a tensor.
`str(error)` is one line that names the remedy. What crosses the wire is the *public words* of the
table alone; an error outside the table becomes INTERNAL with fixed words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_WORDS = 300


class ExitCode(IntEnum):
    """Exit codes of the program `obclip`; 2 is also what its argument parser uses."""

    FAILED = 1
    INVALID = 2
    REFUSED = 3
    UNAVAILABLE = 4
    MISMATCH = 5
    BROKEN = 6
    TOO_LATE = 7
    CANCELLED = 130


@dataclass(eq=False)
class ObclipError(Exception):
    """Base of the tree; the subclasses' fields are the data and fill `template`."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    template: ClassVar[str] = "generation failed; see the log"

    def __post_init__(self) -> None:
        super().__init__(*(getattr(self, field.name) for field in fields(self)))

    def __str__(self) -> str:
        return _fill(self.template, self)


@dataclass(eq=False)
class InvalidRequest(ObclipError):
    """The request is outside what the service or the model allows.

    Attributes:
        field: name of the request's field, e.g. "switch_point".
        reason: what is wrong with it in numbers and fixed words, e.g. "is 30, outside 0..25".
        remedy: what to do, e.g. "choose a switch point of at most 25".
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INVALID
    template: ClassVar[str] = "{field}: {reason}; {remedy}"

    field: str
    reason: str
    remedy: str


@dataclass(eq=False, init=False)
class TooManyCandidates(InvalidRequest):
    """The prompt has more candidates than the service takes.

    Attributes:
        count: candidates of the request.
        limit: candidates that the card allows.
    """

    count: int
    limit: int

    def __init__(self, count: int, limit: int) -> None:
        self.count, self.limit = count, limit
        super().__init__(
            "candidates", f"{count} where {limit} are allowed", "name fewer sensitive attributes"
        )

    def __reduce__(self) -> tuple[type[TooManyCandidates], tuple[int, int]]:
        return TooManyCandidates, (self.count, self.limit)


@dataclass(eq=False)
class PromptRefused(ObclipError):
    """The device refuses to send this prompt, since it could not keep its promise.

    Attributes:
        reason: why, in fixed words and public data; no prompt text.
        remedy: how to change the prompt.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED
    template: ClassVar[str] = "prompt refused: {reason}; {remedy}"

    reason: str
    remedy: str


@dataclass(eq=False)
class QueueFull(ObclipError):
    """As many requests wait as the service allows."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE
    template: ClassVar[str] = "the service's queue is full; try again in a minute"


@dataclass(eq=False)
class ServiceUnreachable(ObclipError):
    """Nothing at this address answers as an ObCLIP service, or the connection broke.

    Attributes:
        address: the address that the user gave, e.g. "localhost:50051".
    """

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE
    template: ClassVar[str] = (
        "no ObCLIP service answers at {address}; check the address, whether it wants --tls (and "
        "--tls-ca, for an authority of your own), or start `obclip serve`"
    )

    address: str


@dataclass(eq=False)
class BackendUnavailable(ObclipError):
    """The orchestrator runs, but its models do not.

    Attributes:
        detail: what happened to the backend; stays on this side.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.UNAVAILABLE
    template: ClassVar[str] = "the model backend is not available ({detail}); restart the service"

    detail: str


@dataclass(eq=False)
class ServiceFailed(ObclipError):
    """The service met an error that it does not explain.

    Attributes:
        code: name of the gRPC status code, e.g. "INTERNAL".
    """

    template: ClassVar[str] = "the service failed ({code}); ask its operator to look in its log"

    code: str


@dataclass(eq=False)
class ModelMismatch(ObclipError):
    """Two copies of one model part differ, so latents of one mean nothing to the other.

    Attributes:
        part: the part, e.g. "cloud_unet", or a folder of the bundle.
        ours: digest, or value, of this side's copy.
        theirs: digest, or value, that the other side or the card names.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.MISMATCH
    template: ClassVar[str] = (
        "{part}: {ours:.16} here, {theirs:.16} expected; use the bundle this service was made for"
    )

    part: str
    ours: str
    theirs: str


@dataclass(eq=False)
class InvalidBundle(ObclipError):
    """A model bundle lacks a file or holds one that cannot be used.

    Attributes:
        path: the file or folder.
        reason: what is wrong with it.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.MISMATCH
    template: ClassVar[str] = "{path}: {reason}; run `make models`, or fetch the bundle again"

    path: str
    reason: str


@dataclass(eq=False)
class DeadlineExceeded(ObclipError):
    """The answer took longer than allowed."""

    exit_code: ClassVar[ExitCode] = ExitCode.TOO_LATE
    template: ClassVar[str] = (
        "the time limit passed; try again, with fewer candidates or a longer limit"
    )


@dataclass(eq=False)
class Cancelled(ObclipError):
    """The user or the caller gave up."""

    exit_code: ClassVar[ExitCode] = ExitCode.CANCELLED
    template: ClassVar[str] = "cancelled; nothing is left running"


@dataclass(eq=False)
class WireError(ObclipError):
    """What the other side sent cannot be used: wrong type, shape or size, cut off, not finite.

    Attributes:
        reason: what is wrong, in names, shapes and byte counts.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BROKEN
    template: ClassVar[str] = (
        "broken data: {reason}; try again, then update client and service to one release"
    )

    reason: str


# Error -> (status, public words). The words use an error's fields only where those are public.
_TABLE: dict[type[ObclipError], tuple[grpc.StatusCode, str]] = {
    InvalidRequest: (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest.template),
    QueueFull: (grpc.StatusCode.RESOURCE_EXHAUSTED, QueueFull.template),
    ModelMismatch: (grpc.StatusCode.FAILED_PRECONDITION, ModelMismatch.template),
    BackendUnavailable: (
        grpc.StatusCode.UNAVAILABLE,
        "the service's models are not available; try again later",
    ),
    DeadlineExceeded: (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded.template),
    Cancelled: (grpc.StatusCode.CANCELLED, Cancelled.template),
    WireError: (
        grpc.StatusCode.DATA_LOSS,
        "the service's models gave unusable data; ask its operator to check them",
    ),
}
_UNKNOWN = (grpc.StatusCode.INTERNAL, ServiceFailed.template.format(code="INTERNAL"))

_INVALID = re.compile(r"(?P<field>\w+): (?P<reason>.+); (?P<remedy>[^;]+)")
_MISMATCH = re.compile(r"(?P<part>[\w./-]+): (?P<here>\S+) here, (?P<expected>\S+) expected; .*")


def to_status(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """Look up what the other side may learn about an error.

    Args:
        error: any exception; one outside the table is INTERNAL with fixed words.

    Returns:
        The status code and one line of public words, at most 300 characters.
    """
    for kind in type(error).__mro__:
        if kind in _TABLE:
            code, words = _TABLE[kind]
            return code, _one_line(_fill(words, error))
    return _UNKNOWN


def from_status(code: grpc.StatusCode, words: str | None, address: str) -> ObclipError:
    """Turn the status of a call into the error that the user sees.

    Only INVALID_ARGUMENT and FAILED_PRECONDITION show words of the service, cut to one printable
    line; all other words are this side's.

    Args:
        code: the status code of the call, never OK.
        words: the status details.
        address: the service's address as the user gave it.
    """
    line = _one_line(words or "")
    makers: dict[grpc.StatusCode, Callable[[], ObclipError]] = {
        grpc.StatusCode.INVALID_ARGUMENT: lambda: _invalid_request(line),
        grpc.StatusCode.FAILED_PRECONDITION: lambda: _model_mismatch(line),
        grpc.StatusCode.RESOURCE_EXHAUSTED: lambda: _exhausted(line),
        grpc.StatusCode.UNAVAILABLE: lambda: _unavailable(line, address),
        grpc.StatusCode.UNIMPLEMENTED: lambda: ServiceUnreachable(address),
        grpc.StatusCode.DATA_LOSS: lambda: WireError("the service's models gave unusable data"),
        grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    }
    return makers.get(code, lambda: ServiceFailed(code.name))()


def _invalid_request(line: str) -> InvalidRequest:
    if match := _INVALID.fullmatch(line):
        return InvalidRequest(**match.groupdict())
    return InvalidRequest("request", line or "refused", "compare it with `obclip card`")


def _model_mismatch(line: str) -> ModelMismatch:
    if match := _MISMATCH.fullmatch(line):
        return ModelMismatch(match["part"], ours=match["expected"], theirs=match["here"])
    return ModelMismatch("model", ours="another one", theirs="unknown")


def _exhausted(line: str) -> ObclipError:
    # gRPC itself uses this code too: for messages over the limit, and for too many calls at a time.
    if "larger than max" in line:
        return WireError("a message is over the size limit")
    return QueueFull()


def _unavailable(line: str, address: str) -> ObclipError:
    if line == _TABLE[BackendUnavailable][1]:
        return BackendUnavailable("said by the service")
    return ServiceUnreachable(address)


def _fill(template: str, error: BaseException) -> str:
    return template.format_map(vars(error))


def _one_line(words: str) -> str:
    return "".join(c if c.isprintable() else " " for c in words)[:_MAX_WORDS]

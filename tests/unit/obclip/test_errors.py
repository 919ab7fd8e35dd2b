import pickle

import grpc
import pytest

from obclip.errors import (
    BackendUnavailable,
    Cancelled,
    DeadlineExceeded,
    ExitCode,
    InvalidBundle,
    InvalidRequest,
    ModelMismatch,
    ObclipError,
    PromptRefused,
    QueueFull,
    ServiceFailed,
    ServiceUnreachable,
    TooManyCandidates,
    WireError,
    from_status,
    to_status,
)

ADDRESS = "localhost:50051"
OURS, THEIRS = "a" * 64, "b" * 64
ERRORS = [
    InvalidRequest("steps", "is 99, outside 1..50", "ask for at most 50"),
    TooManyCandidates(48, 30),
    PromptRefused("a word of the prompt is not in the lexicon", "leave it out"),
    QueueFull(),
    ServiceUnreachable(ADDRESS),
    BackendUnavailable("tritonserver ended with exit code -9"),
    ServiceFailed("INTERNAL"),
    ModelMismatch("cloud_unet", OURS, THEIRS),
    InvalidBundle("weights/unet", "is absent or holds no model"),
    DeadlineExceeded(),
    Cancelled(),
    WireError("tensor of 5 bytes where its shape needs 8"),
]
ENDED = {grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED}
CROSSING = [error for error in ERRORS if to_status(error)[0] not in ENDED]


def ids(error):
    return type(error).__name__


def test_every_class_is_covered_here():
    ours = {kind for kind in _below(ObclipError) if kind.__module__ == ObclipError.__module__}
    assert {type(error) for error in ERRORS} == ours


@pytest.mark.parametrize("error", ERRORS, ids=ids)
def test_an_error_is_one_line_with_a_remedy_and_an_exit_code(error):
    words = str(error)
    assert words.isprintable()
    assert "{" not in words
    assert "; " in words
    assert error.exit_code in set(ExitCode)
    assert error.exit_code != 0


@pytest.mark.parametrize("error", ERRORS, ids=ids)
def test_an_error_survives_pickling_with_its_data(error):
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert type(back) is type(error)
    assert vars(back) == vars(error)
    assert str(back) == str(error)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ERRORS[0], grpc.StatusCode.INVALID_ARGUMENT),
        (TooManyCandidates(48, 30), grpc.StatusCode.INVALID_ARGUMENT),
        (QueueFull(), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (ModelMismatch("cloud_unet", OURS, THEIRS), grpc.StatusCode.FAILED_PRECONDITION),
        (BackendUnavailable("x"), grpc.StatusCode.UNAVAILABLE),
        (DeadlineExceeded(), grpc.StatusCode.DEADLINE_EXCEEDED),
        (Cancelled(), grpc.StatusCode.CANCELLED),
        (WireError("x"), grpc.StatusCode.DATA_LOSS),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_the_table_names_the_status(error, code):
    assert to_status(error)[0] is code


@pytest.mark.parametrize("error", CROSSING, ids=ids)
def test_an_error_crosses_the_wire_and_keeps_its_class_and_exit_code(error):
    back = from_status(*to_status(error), ADDRESS)
    assert isinstance(error, type(back))
    assert back.exit_code == error.exit_code


def test_a_service_that_says_cancelled_is_not_the_users_ctrl_c():
    back = from_status(grpc.StatusCode.CANCELLED, "", ADDRESS)
    assert isinstance(back, ServiceFailed)
    assert back.exit_code != Cancelled.exit_code
    assert "(CANCELLED)" in str(back)


def test_a_refused_request_reads_the_same_on_both_sides():
    error = TooManyCandidates(48, 30)
    back = from_status(*to_status(error), ADDRESS)
    assert (back.field, back.reason, back.remedy) == (error.field, error.reason, error.remedy)
    assert str(back) == str(error)


def test_digests_change_sides_with_the_reader():
    back = from_status(*to_status(ModelMismatch("cloud_unet", OURS, THEIRS)), ADDRESS)
    assert (back.part, back.ours, back.theirs) == ("cloud_unet", THEIRS[:16], OURS[:16])


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a woman in a park"),
        KeyError("a woman in a park"),
        ObclipError(),
        PromptRefused("a woman in a park", "x"),
        InvalidBundle("/home/somebody", "x"),
    ],
    ids=ids,
)
def test_what_is_not_in_the_table_becomes_internal_with_fixed_words(error):
    code, words = to_status(error)
    assert code is grpc.StatusCode.INTERNAL
    assert words == to_status(ValueError())[1]
    assert isinstance(from_status(code, words, ADDRESS), ServiceFailed)


def test_what_happened_to_the_backend_stays_on_the_server():
    _, words = to_status(BackendUnavailable("tritonserver ended with exit code -9"))
    assert "tritonserver" not in words


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (
            grpc.StatusCode.UNAVAILABLE,
            "failed to connect to all addresses; last error: refused",
            ServiceUnreachable,
        ),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ServiceUnreachable),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Received message larger than max (9 vs. 4)",
            WireError,
        ),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", QueueFull),
        (grpc.StatusCode.PERMISSION_DENIED, "no", ServiceFailed),
        (grpc.StatusCode.UNKNOWN, None, ServiceFailed),
    ],
)
def test_statuses_of_grpc_itself_become_errors_with_our_words(code, words, kind):
    error = from_status(code, words, ADDRESS)
    assert type(error) is kind
    assert words is None or words not in str(error)


def test_the_address_that_does_not_answer_is_named():
    error = from_status(grpc.StatusCode.UNAVAILABLE, "", ADDRESS)
    assert ADDRESS in str(error)


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
@pytest.mark.parametrize("words", [None, "", "\x1b[2J\r\nrm -rf; " * 1000, "{field}", "a: b; c"])
def test_words_of_a_hostile_service_stay_one_short_printable_line(code, words):
    line = str(from_status(code, words, ADDRESS))
    assert line.isprintable()
    assert len(line) < 400


def _below(kind):
    children = set(kind.__subclasses__())
    return children.union(*map(_below, children))

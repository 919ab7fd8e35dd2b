"""The program `obclip`: one line and one exit code for whatever happens.

It stays light, so that even an early Ctrl-C or a missing dependency ends in one clear line.
"""

import json
import os
import sys
from collections.abc import Sequence

TRACEBACK_VARIABLE = "OBCLIP_TRACEBACK"
FAILED, INVALID, CANCELLED = 1, 2, 130


def main() -> None:
    """Runs the program with the arguments of the command line and exits."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs the program.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code: 0, or one of `obclip.errors.ExitCode`.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own words would break the one line
    as_json = "--json" in arguments
    try:
        code = _dispatch(arguments)
    except KeyboardInterrupt:
        code = CANCELLED
    except Exception as error:  # the last resort: nobody above could tell the user
        if not _is_interrupt(error):
            return _explain(error, as_json)
        code = CANCELLED
    if code == CANCELLED:
        return _complain("Cancelled", "cancelled; nothing is left running", code, as_json)
    return code


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: the import of a C++ module turns that into an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _dispatch(arguments: Sequence[str]) -> int:
    from device_client.commands.group import command  # noqa: PLC0415  # may miss a dependency

    result = command().main(list(arguments), prog_name="obclip", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _explain(error: Exception, as_json: bool) -> int:
    if os.environ.get(TRACEBACK_VARIABLE):
        raise error
    kind = type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        words = f"the Python package {error.name} is missing; pip install 'obclip[device]'"
        return _complain(kind, words, FAILED, as_json)
    code = getattr(error, "exit_code", None)
    if code is None:
        words = f"internal error ({kind}); set {TRACEBACK_VARIABLE}=1 to see where, and report it"
        return _complain(kind, words, FAILED, as_json)
    usage = getattr(error, "format_message", None)
    if usage is not None:
        words = " ".join(usage().split()).rstrip(".")
        command = getattr(getattr(error, "ctx", None), "command_path", "obclip")
        return _complain("Usage", f"{words}; see `{command} --help`", INVALID, as_json)
    return _complain(kind, str(error), int(code), as_json)


def _complain(kind: str, words: str, code: int, as_json: bool) -> int:
    print(f"obclip: {words}", file=sys.stderr)  # noqa: T201  # rich and typer may be missing
    if as_json:
        error = {"kind": kind, "message": words, "exit_code": code}
        print(json.dumps({"error": error}))  # noqa: T201
    return code

"""A tritonserver process of our own: found, started, watched and taken down without a trace."""

import asyncio
import contextlib
import ctypes.util
import os
import secrets
import signal
import socket
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud_service import janitor, parent_death
from cloud_service.leftovers import SHARED_MEMORY, own_prefix, sweep
from cloud_service.settings import package_folder
from cloud_service.startup_error import CannotStart, TritonCrashed

_LOOPBACK = "127.0.0.1"
_USE = "triton"
# One region for each model, all of it taken at the start. It must not grow: growing races with the
# model's process, and Triton aborts (server issue 8882).
_REGION_BYTES = 256 << 20
_BATCHES_IN_REGION = 3  # one that runs, its answer, and the next
_TRITON_EXIT_TIMEOUT_S = 2  # by then the orchestrator has ended its calls
_STOP_TIMEOUT_S = 10.0
_JANITOR_TIMEOUT_S = 15.0
_POLL_S = 0.05
_PROBE_TIMEOUT_S = 1.0
_MAX_LINE = 300


@dataclass(frozen=True)
class TritonInstallation:
    """The parts of the nvidia-pytriton wheel, and of this Python, that a server needs.

    Attributes:
        binary: tritonserver.
        python_backend: folder of the python backend's library.
        stub: the process that runs python models, for this Python's version.
        library_folders: where the loader finds the wheel's libraries and libpython.
    """

    binary: Path
    python_backend: Path
    stub: Path
    library_folders: tuple[Path, ...]

    @classmethod
    def find(cls) -> "TritonInstallation":
        """Looks for the wheel and for libpython.

        Raises:
            CannotStart: one is missing.
        """
        wheel = package_folder("pytriton") / "tritonserver"
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        stub = wheel / "python_backend_stubs" / version / "triton_python_backend_stub"
        if not stub.is_file():
            raise CannotStart(
                f"the Triton wheel has no backend for Python {version}", "use Python 3.11 or 3.12"
            )
        libraries = wheel.parent.parent / "nvidia_pytriton.libs"
        return cls(
            binary=wheel / "bin" / "tritonserver",
            python_backend=wheel / "backends" / "python",
            stub=stub,
            library_folders=(*libpython_folders(version), libraries),
        )


class TritonProcess:
    """A running tritonserver; `running_triton` makes and ends it.

    Attributes:
        url: host:port of its gRPC service.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, url: str, log: Path | None, regions: str
    ) -> None:
        self.url = url
        self._process = process
        self._regions = regions
        self._log = log

    @property
    def pid(self) -> int:
        """Process id, and the id of the process group that its python models belong to."""
        return self._process.pid

    async def wait(self) -> int:
        """Waits until the process ends, and gives its exit code."""
        return await self._process.wait()

    async def wait_for_failure(self) -> str:
        """Waits until the server or one of its model processes ends; says which.

        Triton 2.51 goes on, and calls itself ready, when a model process was killed (for want of
        memory, say), but answers no call to that model any more.
        """
        server = asyncio.create_task(self.wait())
        with _watched(janitor.members(self.pid, but=self.pid)) as model_ended:
            models = asyncio.create_task(model_ended.wait())
            try:
                await asyncio.wait({server, models}, return_when=asyncio.FIRST_COMPLETED)
                if server.done():
                    return f"tritonserver ended with code {server.result()}"
                return "a model process of tritonserver ended"
            finally:
                await _cancel(server, models)

    async def wait_until(
        self, is_ready: Callable[[float], Awaitable[bool]], timeout_s: float
    ) -> None:
        """Waits until the models are loaded and warm; then nobody else can open their memory.

        Args:
            is_ready: asks once, giving up after the seconds that it is told.
            timeout_s: seconds that loading may take.

        Raises:
            TritonCrashed: a signal ended the process.
            CannotStart: the process ended otherwise, or was not ready in time.
        """
        ended = asyncio.create_task(self.wait())
        ready = asyncio.create_task(_poll(is_ready))
        try:
            await asyncio.wait(
                {ended, ready}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                kind = TritonCrashed if ended.result() < 0 else CannotStart
                words = self._last_error()
                raise kind(
                    f"tritonserver ended with code {ended.result()}: {words}", _remedy(words)
                )
            if not ready.done():
                raise CannotStart(
                    f"tritonserver was not ready after {timeout_s:g} s",
                    "raise OBCLIP_TRITON_START_TIMEOUT_S, or start with --verbose",
                )
        finally:
            await _cancel(ended, ready)
        self._close_regions()

    async def stop(self) -> None:
        """Ends the process and every process it started."""
        try:
            if self._process.returncode is None:
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT_S)
        finally:
            # A python model whose server was killed may wait for ever on a lock that it held.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()

    def _close_regions(self) -> None:
        """The backend makes its regions readable for all, whatever the umask.

        Prompts of users pass through them from now on, and stay until they are written over.
        """
        for region in SHARED_MEMORY.glob(f"{self._regions}*"):
            region.chmod(0o600)

    def _last_error(self) -> str:
        if self._log is None:
            return "see its log above"
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("error:") or "failed to load" in line]
        return (errors or lines or ["no output"])[0][:_MAX_LINE]


@contextlib.asynccontextmanager
async def running_triton(
    write_repository: Callable[[Path], Awaitable[Path]], *, verbose: bool, batch_bytes: int = 0
) -> AsyncIterator[TritonProcess]:
    """Starts a tritonserver on a free loopback port; ends it, and removes its files, at the end.

    What a service that was killed left is removed first.

    Must run in the main thread: the kernel ends Triton when the thread that started it ends, and so
    also when this process is killed.

    Args:
        write_repository: is given an empty folder and returns the model repository, there or
            elsewhere.
        verbose: lets Triton log to standard error, where it is hidden otherwise.
        batch_bytes: of the largest merged call, inputs and outputs.

    Raises:
        CannotStart: a part of the installation is missing.
    """
    installation = TritonInstallation.find()
    region_bytes = max(_REGION_BYTES, _BATCHES_IN_REGION * batch_bytes)
    for place in (SHARED_MEMORY, Path(tempfile.gettempdir())):
        sweep(place, _USE)  # no janitor outlives the kill of all processes
    prefix = f"{own_prefix(_USE)}{secrets.token_hex(4)}_"
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as name,
        _reserved_port() as port,
    ):
        folder = Path(name)
        backends = _link_backends(folder / "backends", installation)
        log = None if verbose else folder / "triton.log"
        async with _janitor(folder, prefix) as say_group:
            arguments = [
                *_server_arguments(port),
                f"--model-repository={await write_repository(folder / 'models')}",
                f"--backend-directory={backends}",
                f"--backend-config=python,shm-region-prefix-name={prefix}",
                f"--backend-config=python,shm-default-byte-size={region_bytes}",
            ]
            process = await _spawn(installation, arguments, folder, log)
            say_group(process.pid)
            triton = TritonProcess(process, f"{_LOOPBACK}:{port}", log, prefix)
            try:
                yield triton
            finally:
                await triton.stop()


@contextlib.asynccontextmanager
async def _janitor(folder: Path, prefix: str) -> AsyncIterator[Callable[[int], None]]:
    """Runs the janitor, which cleans after the block, and after this process if it is killed.

    Gives what tells it Triton's process group.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", janitor.__file__, str(folder), prefix),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )
    pipe = process.stdin
    assert pipe is not None  # noqa: S101 -- it was asked for
    try:
        yield lambda group: pipe.write(f"{group}\n".encode())
    finally:
        pipe.close()
        await asyncio.wait_for(process.wait(), _JANITOR_TIMEOUT_S)


def _server_arguments(port: int) -> list[str]:
    return [
        f"--grpc-address={_LOOPBACK}",
        f"--grpc-port={port}",
        "--reuse-grpc-port=true",  # the reserved socket holds the port as well
        "--allow-http=false",
        "--allow-metrics=false",
        "--model-control-mode=none",
        "--disable-auto-complete-config",
        "--strict-readiness=true",
        "--exit-on-error=true",
        f"--exit-timeout-secs={_TRITON_EXIT_TIMEOUT_S}",
        "--pinned-memory-pool-byte-size=0",
        "--cache-directory=/nonexistent",  # no response cache can be loaded
    ]


async def _spawn(
    installation: TritonInstallation, arguments: list[str], folder: Path, log: Path | None
) -> asyncio.subprocess.Process:
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb")) if log else sys.stderr
        return await asyncio.create_subprocess_exec(
            *parent_death.bound_to_us(str(installation.binary), *arguments),
            cwd=folder,
            env=_environment(installation),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the orchestrator, which then ends Triton
        )


def _environment(installation: TritonInstallation) -> dict[str, str]:
    """What Triton needs and nothing else: no setting or secret of the operator's reaches it."""
    python_folder = Path(sys.executable).parent  # by PATH the stub finds its virtual environment
    return {
        "PATH": f"{python_folder}:/usr/bin:/bin",
        "LD_LIBRARY_PATH": ":".join(map(str, installation.library_folders)),
    }


def _link_backends(folder: Path, installation: TritonInstallation) -> Path:
    """Puts the backend's library, its module and this Python's stub side by side."""
    python = folder / "python"
    python.mkdir(parents=True)
    for source in (
        installation.python_backend / "libtriton_python.so",
        installation.python_backend / "triton_python_backend_utils.py",
        installation.stub,
    ):
        (python / source.name).symlink_to(source)
    return folder


def libpython_folders(version: str) -> tuple[Path, ...]:
    """Folders that the loader must be told of; none when it knows libpython already."""
    library = f"libpython{version}.so.1.0"
    folder = Path(str(sysconfig.get_config_var("LIBDIR")))
    if (folder / library).is_file():
        return (folder,)
    if ctypes.util.find_library(f"python{version}"):
        return ()
    raise CannotStart(
        f"{library}, which Triton's python backend needs, is missing",
        f"on Debian and Ubuntu: apt-get install libpython{version}",
    )


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """Holds a free port: bound but not listening, so that Triton alone gets its connections."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((_LOOPBACK, 0))
        yield reserved.getsockname()[1]


@contextlib.contextmanager
def _watched(processes: list[int]) -> Iterator[asyncio.Event]:
    """An event that is set when one of the processes, given by descriptors to be closed, ends."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    with contextlib.ExitStack() as stack:
        for descriptor in processes:
            stack.callback(os.close, descriptor)
            loop.add_reader(descriptor, ended.set)
            stack.callback(loop.remove_reader, descriptor)
        yield ended


def _remedy(error: str) -> str:
    if "Unable to initialize shared memory" in error:
        return (
            "enlarge /dev/shm (of a container: --shm-size), "
            "lower OBCLIP_MAX_CANDIDATES, or serve fewer OBCLIP_PROFILES"
        )
    return "start with --verbose to see its log"


async def _poll(is_ready: Callable[[float], Awaitable[bool]]) -> None:
    while not await is_ready(_PROBE_TIMEOUT_S):
        await asyncio.sleep(_POLL_S)


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

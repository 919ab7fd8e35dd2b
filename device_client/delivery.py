"""The delivery of a bundle to this device: whole and verified, or not at all.

Files are fetched into a folder beside the target, each compared with its digest, the card last; one
rename makes them a bundle. What broke off is taken up again by the same call.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from device_client.bundle import open_bundle
from obclip.card import CARD_FILE, ModelCard, sha256_file
from obclip.errors import InvalidBundle, InvalidRequest, ModelMismatch
from obclip.manifest import MAX_RANGE_BYTES, BundleFile, Manifest

# Called with the file's path, and how many bytes of all files are here and are to be here.
OnBytes = Callable[[str, int, int], None]


class BundleSource(Protocol):
    """Where a bundle comes from. Nothing of it is trusted but by digest."""

    def bundle_manifest(self, pin: str) -> Manifest:
        """Returns the manifest."""

    def bundle_range(self, pin: str, path: str, offset: int, length: int) -> bytes:
        """Returns exactly `length` bytes of a file, from `offset` on."""


@dataclass(frozen=True)
class FolderSource:
    """A bundle in a folder, e.g. on a stick.

    Attributes:
        folder: The bundle; what the device does not need is left out.
    """

    folder: Path

    def bundle_manifest(self, pin: str) -> Manifest:
        """Returns the manifest of what lies there, whatever the pin.

        Raises:
            InvalidBundle: It is no bundle.
        """
        del pin
        return Manifest.of_folder(self.folder)

    def bundle_range(self, pin: str, path: str, offset: int, length: int) -> bytes:
        """Returns exactly `length` bytes of a file, from `offset` on.

        Raises:
            InvalidBundle: The file cannot be read, or is shorter.
        """
        del pin
        try:
            with (self.folder / path).open("rb") as file:
                data = os.pread(file.fileno(), length, offset)
        except OSError as error:
            raise InvalidBundle(path, error.strerror or "cannot be read") from error
        if len(data) != length:
            raise InvalidBundle(path, "became shorter while it was read")
        return data


@dataclass(frozen=True)
class Delivered:
    """A bundle that is in its place.

    Attributes:
        folder: The bundle.
        card: Its card.
        files: Files beside the card.
        size_bytes: Of these files.
        fetched_bytes: Of them, how many came with this call.
    """

    folder: Path
    card: ModelCard
    files: int
    size_bytes: int
    fetched_bytes: int


@dataclass
class Delivery:
    """One delivery.

    Attributes:
        source: Where the bundle comes from.
        pin: SHA-256 of its card, 64 lower-case hex digits.
        target: The folder to make; nothing may be there but the same bundle.
        max_bytes: A larger bundle is refused before anything is fetched.
        on_bytes: Told about every range.
    """

    source: BundleSource
    pin: str
    target: Path
    max_bytes: int
    on_bytes: OnBytes = lambda _path, _done, _total: None
    _done_bytes: int = field(default=0, init=False)
    _fetched_bytes: int = field(default=0, init=False)

    def run(self) -> Delivered:
        """Fetches what is missing and puts the bundle in its place.

        Raises:
            ModelMismatch: The source has another bundle, or a file is damaged; the error names it.
            InvalidRequest: The target is taken, the bundle too large, or the disk full.
            ObclipError: The source failed. The same call later goes on where this one stopped.
        """
        manifest = self.source.bundle_manifest(self.pin)
        card = manifest.require(self.pin)
        try:
            if not self._is_in_place():
                self._require_size(manifest)
                self._require_replaceable()
                with self._staging() as staging:
                    self._fill(staging, manifest)
        except OSError as error:
            words = error.strerror or "cannot be written"
            raise InvalidRequest(
                "out", words, "make room there or choose another folder, and run it again"
            ) from error
        count, size = len(manifest.files), manifest.size_bytes
        return Delivered(self.target, card, count, size, self._fetched_bytes)

    def _is_in_place(self) -> bool:
        """Whether the target is this bundle already, files compared.

        Raises:
            InvalidRequest: It is something else.
        """
        card_file = self.target / CARD_FILE
        if card_file.is_file() and sha256_file(card_file) == self.pin:
            open_bundle(self.target)
            return True
        if self.target.exists() and not (self.target.is_dir() and not os.listdir(self.target)):
            raise InvalidRequest(
                "out", "is there already and is not this bundle", "choose another folder"
            )
        return False

    def _require_replaceable(self) -> None:
        """The last rename would fail there, after everything was fetched."""
        if self.target.is_symlink() or self.target.absolute().is_mount():
            raise InvalidRequest(
                "out", "is a link or a mount point", "name a folder that is to be made inside"
            )

    def _require_size(self, manifest: Manifest) -> None:
        if manifest.size_bytes > self.max_bytes:
            raise InvalidRequest(
                "max_size",
                f"is {_mib(self.max_bytes)} and the bundle has {_mib(manifest.size_bytes)}",
                "raise it if you expect so much",
            )

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """The folder beside the target; this process alone may write there."""
        place = self.target.absolute()
        staging = place.with_name(f"{place.name}.{self.pin[:12]}.partial")
        staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid != os.geteuid():
                raise InvalidRequest(
                    "out", f"{staging} is somebody else's", "choose a folder of your own"
                )
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield staging
        except BlockingIOError as error:
            raise InvalidRequest("out", "is being filled already", "wait for that") from error
        finally:
            os.close(handle)

    def _fill(self, staging: Path, manifest: Manifest) -> None:
        _remove_strays(staging, manifest)
        _require_room(staging, manifest)
        for file in manifest.files:
            self._fetch(staging / file.path, file, manifest.size_bytes)
        with (staging / CARD_FILE).open("wb") as card:
            card.write(manifest.card_json)
            card.flush()
            os.fsync(card.fileno())
        open_bundle(staging)  # the whole, as `obclip generate` will see it
        staging.chmod(0o755)
        staging.replace(self.target)

    def _fetch(self, path: Path, file: BundleFile, total: int) -> None:
        """Completes one file, once more from its start if what was there before is damaged."""
        path.parent.mkdir(parents=True, exist_ok=True)
        was_begun = path.exists()
        found = self._complete(path, file, total)
        if found != file.sha256 and was_begun:
            self._forget(path, file)
            found = self._complete(path, file, total)
        if found != file.sha256:
            path.unlink()
            raise ModelMismatch(f"file {file.path}", ours=found, theirs=file.sha256)

    def _forget(self, path: Path, file: BundleFile) -> None:
        path.unlink()
        self._done_bytes -= file.size_bytes

    def _complete(self, path: Path, file: BundleFile, total: int) -> str:
        """Fetches what a file lacks; returns its digest."""
        with path.open("ab") as out:
            if out.tell() > file.size_bytes:
                out.truncate(0)
                out.seek(0)
            self._done_bytes += out.tell()
            while (offset := out.tell()) < file.size_bytes:
                length = min(MAX_RANGE_BYTES, file.size_bytes - offset)
                out.write(self.source.bundle_range(self.pin, file.path, offset, length))
                self._done_bytes += length
                self._fetched_bytes += length
                self.on_bytes(file.path, self._done_bytes, total)
            out.flush()
            os.fsync(out.fileno())
        return sha256_file(path)


def _remove_strays(staging: Path, manifest: Manifest) -> None:
    known = {staging / file.path for file in manifest.files}
    for path in [path for path in staging.rglob("*") if path.is_file()]:
        if path not in known:
            path.unlink()


def _require_room(staging: Path, manifest: Manifest) -> None:
    here = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    free = shutil.disk_usage(staging).free
    if free + here < manifest.size_bytes:
        raise InvalidRequest(
            "out",
            f"{_mib(free)} are free there where {_mib(manifest.size_bytes - here)} are needed",
            "choose another folder, or make room",
        )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"

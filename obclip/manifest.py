"""The manifest of the device's part of a bundle: what `obclip pull` fetches, and how it is trusted.

Trust comes from one number, the *pin*: the SHA-256 of card.json. The card's digests cover the names
and the SHA-256 digests of all files, so nothing that a pin does not cover enters a bundle.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

from obclip.card import (
    CARD_FILE,
    DEVICE_PARTS,
    FOLDERS,
    MAX_CARD_BYTES,
    ModelCard,
    digest_files,
    is_sha256,
    list_folder,
    sha256_file,
)
from obclip.errors import InvalidBundle, ModelMismatch, WireError
from obclip.v1 import bundle_pb2

if TYPE_CHECKING:
    from pathlib import Path

MAX_RANGE_BYTES = 1 << 20
MAX_FILES = 256
# A card, MAX_FILES files or a range, and the framing around them.
MAX_MESSAGE_BYTES = (1 << 20) + (1 << 18)

_MAX_PATH_CHARS = 200
_PATH = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*){1,7}", re.ASCII)


def _read_card(path: Path) -> bytes:
    """At most one byte more than a card may have, and nothing of a pipe or a device."""
    if not path.is_file():
        raise ValueError(f"it has no {CARD_FILE}")
    with path.open("rb") as file:
        return file.read(MAX_CARD_BYTES + 1)


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle.

    Attributes:
        path: below the bundle, with slashes: 2 to 8 plain ASCII names of which none begins with a
            dot, at most 200 characters.
        sha256: of its bytes, 64 lower-case hex digits.
        size_bytes: 0..2^62.

    Raises:
        ValueError: a value has another form.
    """

    path: str
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if len(self.path) > _MAX_PATH_CHARS or not _PATH.fullmatch(self.path):
            raise ValueError("a path is not one that lies in a bundle")
        if not is_sha256(self.sha256):
            raise ValueError("a digest is not a SHA-256 in lower-case hex")
        if not 0 <= self.size_bytes <= 1 << 62:
            raise ValueError("a size is outside 0..2^62")


@dataclass(frozen=True)
class Manifest:
    """The card of a bundle and the device's files, not yet compared with each other.

    Attributes:
        card_json: the bytes of card.json, at most 1 MiB.
        files: 1 to 256, in order of their paths, each path once.

    Raises:
        ValueError: a value has another form.
    """

    card_json: bytes = field(repr=False)
    files: tuple[BundleFile, ...]

    def __post_init__(self) -> None:
        if len(self.card_json) > MAX_CARD_BYTES:
            raise ValueError("the card is over 1 MiB")
        if not 0 < len(self.files) <= MAX_FILES:
            raise ValueError(f"it has no file, or over {MAX_FILES}")
        if any(one.path >= next_one.path for one, next_one in pairwise(self.files)):
            raise ValueError("its files are out of order, or one comes twice")

    @classmethod
    def of_folder(cls, bundle: Path) -> Manifest:
        """List the device's part of a bundle on disk, digests computed.

        Raises:
            InvalidBundle: the card or a part is absent, a file cannot be read or has no plain name.
        """
        try:
            card_json = _read_card(bundle / CARD_FILE)
            files = [
                BundleFile(f"{FOLDERS[part]}/{name}", sha256_file(path), path.stat().st_size)
                for part in DEVICE_PARTS
                for name, path in list_folder(bundle / FOLDERS[part]).items()
            ]
            return cls(card_json, tuple(sorted(files, key=lambda file: file.path)))
        except OSError as error:
            raise InvalidBundle(str(bundle), error.strerror or "cannot be read") from error
        except ValueError as error:
            raise InvalidBundle(str(bundle), str(error)) from error

    @classmethod
    def from_proto(cls, message: bundle_pb2.GetBundleManifestResponse) -> Manifest:
        """Read what a service sent.

        Raises:
            WireError: a value has another form than the contract's.
        """
        try:
            files = (
                BundleFile(file.path, file.sha256, file.size_bytes)
                for file in message.files[: MAX_FILES + 1]
            )
            return cls(message.card, tuple(files))
        except ValueError as error:
            raise WireError(f"the manifest: {error}") from error

    def to_proto(self) -> bundle_pb2.GetBundleManifestResponse:
        """The wire's message; `from_proto` gives the manifest back."""
        files = [bundle_pb2.BundleFile(**asdict(file)) for file in self.files]
        return bundle_pb2.GetBundleManifestResponse(card=self.card_json, files=files)

    @property
    def pin(self) -> str:
        """SHA-256 of the card, 64 lower-case hex digits."""
        return sha256(self.card_json).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)

    def require(self, pin: str) -> ModelCard:
        """Compare the card with a pin, and the files' names and digests with the card.

        The sizes are covered by nothing: who reads the files bounds them, and compares digests.

        Args:
            pin: 64 lower-case hex digits.

        Returns:
            The card.

        Raises:
            ModelMismatch: the card is not the one of the pin, or a part not the one of the card.
            InvalidBundle: a file belongs to no part, or the card is none.
        """
        if self.pin != pin:
            raise ModelMismatch(CARD_FILE, ours=self.pin, theirs=pin)
        try:
            card = ModelCard.from_json(self.card_json.decode())
        except ValueError as error:
            raise InvalidBundle(CARD_FILE, str(error)) from error
        parts = {FOLDERS[part]: part for part in DEVICE_PARTS}
        for file in self.files:
            if file.path.partition("/")[0] not in parts:
                raise InvalidBundle(file.path, "is in no part of the device's")
        for folder, part in parts.items():
            found, stated = self._digest(folder), getattr(card.models, part)
            if found != stated:
                raise ModelMismatch(f"folder {folder}", ours=found, theirs=stated)
        return card

    def _digest(self, folder: str) -> str:
        prefix = f"{folder}/"
        return digest_files(
            {
                file.path.removeprefix(prefix): file.sha256
                for file in self.files
                if file.path.startswith(prefix)
            }
        )

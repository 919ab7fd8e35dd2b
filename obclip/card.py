"""The model card of a bundle (`card.json`), and the service card, the same for every caller.

A bundle is a folder in diffusers' layout. Its card states the digests of its parts, so a device can
tell that its own models and those of a service are of one family: latents of another decode to
noise.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields, is_dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from obclip.errors import InvalidBundle, ModelMismatch, WireError
from obclip.lcm import Distillation
from obclip.plan import STEP_KINDS, Profile
from obclip.schedule import NoiseSchedule
from obclip.tensors import DTYPES, TensorType
from obclip.v1 import service_card_pb2 as pb
from obclip.v1 import tensor_pb2

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from google.protobuf.message import Message

CARD_FILE = "card.json"
# Digest -> the folder of the bundle that it covers.
FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "cloud_unet": "unet",
        "text_encoder": "text_encoder",
        "tokenizer": "tokenizer",
        "device_unet": "device_unet",
        "vae_decoder": "vae",
    }
)
# What the device runs itself, or needs to be sure of; the cloud's UNet may be absent there.
DEVICE_PARTS = tuple(part for part in FOLDERS if part != "cloud_unet")
_DIGESTED = {".safetensors", ".onnx", ".json", ".txt"}
_WIRE_TYPES = {
    "float16": tensor_pb2.TENSOR_TYPE_FLOAT16,
    "float32": tensor_pb2.TENSOR_TYPE_FLOAT32,
}
_NAME = re.compile(r"[\w.+-]{1,64}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_CARD_BYTES = 1 << 20
# Framing of a message around its tensors.
_OVERHEAD_BYTES = 1 << 12
_MAX_MESSAGE_BYTES = (1 << 31) - 1  # of protobuf

T = TypeVar("T")


@dataclass(frozen=True)
class ModelDigests:
    """SHA-256 of each part, 64 lower-case hex digits; see `digest_folder`.

    Attributes:
        family: name of the family, e.g. "obclip-portraits"; letters, digits, `_.+-`, at most 64.
        cloud_unet: of the folder unet.
        text_encoder: of the folder text_encoder.
        tokenizer: of the folder tokenizer.
        device_unet: of the folder device_unet.
        vae_decoder: of the folder vae.

    Raises:
        ValueError: a value has another form.
    """

    family: str
    cloud_unet: str
    text_encoder: str
    tokenizer: str
    device_unet: str
    vae_decoder: str

    def __post_init__(self) -> None:
        _require(bool(_NAME.fullmatch(self.family)), "family is not a short plain name")
        for part in FOLDERS:
            digest = getattr(self, part)
            _require(is_sha256(digest), f"{part} is not a SHA-256 in lower-case hex")


@dataclass(frozen=True)
class LatentFormat:
    """Shape and wire type of the latent of one candidate.

    Attributes:
        channels: C, 1..64.
        height: H, 1..1024.
        width: W, 1..1024.
        wire_type: "float16" or "float32".

    Raises:
        ValueError: a value is outside its range.
    """

    channels: int
    height: int
    width: int
    wire_type: str

    def __post_init__(self) -> None:
        _require_range(self, "channels", 1, 64)
        _require_range(self, "height", 1, 1024)
        _require_range(self, "width", 1, 1024)
        _require(self.wire_type in _WIRE_TYPES, "wire_type is neither float16 nor float32")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def tensor_type(self) -> TensorType:
        """The wire's number for `wire_type`."""
        return _WIRE_TYPES[self.wire_type]

    def batch_bytes(self, candidates: int) -> int:
        """Upper bound of one message that holds latents and x0 of `candidates` candidates."""
        one = math.prod(self.shape) * DTYPES[self.tensor_type].itemsize
        return 2 * candidates * one + _OVERHEAD_BYTES


@dataclass(frozen=True)
class ImageFormat:
    """Size of the decoded image in pixels.

    Attributes:
        height: 1..8192.
        width: 1..8192.

    Raises:
        ValueError: a value is outside its range.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        _require_range(self, "height", 1, 8192)
        _require_range(self, "width", 1, 8192)


@dataclass(frozen=True)
class TextFormat:
    """What the text encoder takes.

    Attributes:
        max_tokens: L, tokens of a prompt with its begin and end marks, padded to L; 3..4096.
        pad_token_id: the padding, >= 0.
        width: D of the embedding of one token, 1..65536.
        pooled_width: of the pooled embedding of the whole prompt, which follows the tokens' as a
            row of its own, filled up with zeros; 0 where there is none, at most `width`.

    Raises:
        ValueError: a value is outside its range.
    """

    max_tokens: int
    pad_token_id: int
    width: int
    pooled_width: int

    def __post_init__(self) -> None:
        _require_range(self, "max_tokens", 3, 4096)
        _require_range(self, "pad_token_id", 0, 2**31 - 1)
        _require_range(self, "width", 1, 65536)
        _require_range(self, "pooled_width", 0, self.width)

    @property
    def embedding_shape(self) -> tuple[int, int]:
        """Shape of one prompt's embedding, (L, width); with a pooled one, (L + 1, width)."""
        return self.max_tokens + (self.pooled_width > 0), self.width


@dataclass(frozen=True)
class StepKindCost:
    """Cost of one step kind: samples * evals + sets * evals_per_set, and so for `macs`.

    Attributes:
        name: the step kind, which is also the name of its Triton model, e.g. "unet_full".
        evals: of one sample in full UNet passes, in (0, 1000].
        macs: multiply-accumulates of one sample, attention products included; 0 when not counted.
        evals_per_set: what a set of samples costs beside, 0..1000; not 0 with batch reuse alone.
        macs_per_set: the same in multiply-accumulates.

    Raises:
        ValueError: a value is outside its range.
    """

    name: str
    evals: float
    macs: int
    evals_per_set: float = 0.0
    macs_per_set: int = 0

    def __post_init__(self) -> None:
        _require(bool(_NAME.fullmatch(self.name)), "the name of a step kind is not a plain name")
        _require(0 < self.evals <= 1000, "evals is outside 0..1000")
        _require_range(self, "macs", 0, 2**63 - 1)
        _require_range(self, "evals_per_set", 0, 1000)
        _require_range(self, "macs_per_set", 0, 2**63 - 1)


@dataclass(frozen=True)
class CachedTensor:
    """What one sample leaves at a step for later ones, inside the service.

    Attributes:
        name: e.g. "feature".
        shape: without the batch axis, 1..4 axes.

    Raises:
        ValueError: a value is outside its range.
    """

    name: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        _require(bool(_NAME.fullmatch(self.name)), "the name of a cached tensor is no plain name")
        _require(1 <= len(self.shape) <= 4, "a cached tensor has not 1 to 4 axes")
        _require(0 < math.prod(self.shape) <= 2**28, "a cached tensor is empty or over 1 GiB")


@dataclass(frozen=True)
class Defaults:
    """What the device asks for when the user does not say.

    Attributes:
        steps: of the whole run, 1..1000.
        guidance_scale: 0..100.
        switch_point: 0..steps.

    Raises:
        ValueError: a value is outside its range.
    """

    steps: int
    guidance_scale: float
    switch_point: int

    def __post_init__(self) -> None:
        _require_range(self, "steps", 1, 1000)
        _require_range(self, "guidance_scale", 0, 100)
        _require_range(self, "switch_point", 0, self.steps)


@dataclass(frozen=True)
class Limits:
    """What the service accepts of one request, and how many of them.

    Attributes:
        max_candidates: N, 1..4096.
        max_prompt_bytes: UTF-8 bytes of one candidate and of the negative prompt, 1..65536.
        max_prompt_tokens: tokens of one candidate, begin and end marks included, 3..4096.
        max_steps: 1..1000.
        max_guidance_scale: 1..100.
        max_queue: requests that may wait, 0..10000.
        request_timeout_s: seconds until the service ends a request, 1..86400.

    Raises:
        ValueError: a value is outside its range.
    """

    max_candidates: int
    max_prompt_bytes: int
    max_prompt_tokens: int
    max_steps: int
    max_guidance_scale: float
    max_queue: int
    request_timeout_s: int

    def __post_init__(self) -> None:
        _require_range(self, "max_candidates", 1, 4096)
        _require_range(self, "max_prompt_bytes", 1, 65536)
        _require_range(self, "max_prompt_tokens", 3, 4096)
        _require_range(self, "max_steps", 1, 1000)
        _require_range(self, "max_guidance_scale", 1, 100)
        _require_range(self, "max_queue", 0, 10_000)
        _require_range(self, "request_timeout_s", 1, 86_400)


@dataclass(frozen=True)
class ModelCard:
    """The card of a bundle.

    Attributes:
        models: the family's name and digests.
        latents: format of one latent.
        image: size of the decoded image.
        schedule: the noise schedule that both UNets were trained with.
        text: what the text encoder takes.
        step_kinds: the step kinds that the bundle has a graph for.
        cached_tensors: what they take and leave, in float32.
        licence: SPDX expression of the weights, e.g. "Apache-2.0".
        defaults: settings that suit the family.
        device_text: what the device's own text encoder takes, in the folder device_unet; None when
            it uses the cloud's.
        distillation: how the cloud's UNet was distilled to few steps; None when it was not.

    Raises:
        ValueError: a value is outside its range.
    """

    models: ModelDigests
    latents: LatentFormat
    image: ImageFormat
    schedule: NoiseSchedule
    text: TextFormat
    step_kinds: tuple[StepKindCost, ...]
    cached_tensors: tuple[CachedTensor, ...]
    licence: str
    defaults: Defaults
    device_text: TextFormat | None
    distillation: Distillation | None

    def __post_init__(self) -> None:
        _require_step_kinds(self.step_kinds)
        _require_cached_tensors(self.step_kinds, self.cached_tensors)
        _require_distilled_steps(self.distillation, "defaults.steps", self.defaults.steps)
        require_licence(self.licence)
        fits = self.defaults.steps < self.schedule.num_train_timesteps
        _require(fits, "defaults.steps is not below schedule.num_train_timesteps")
        _require_trained(self.distillation, self.schedule.num_train_timesteps)

    @classmethod
    def load(cls, bundle_dir: Path) -> ModelCard:
        """Read `<bundle_dir>/card.json`; digests are not compared, see `verify`.

        Raises:
            InvalidBundle: the file is absent, over 1 MiB, or not a card.
        """
        path = bundle_dir / CARD_FILE
        try:
            if path.stat().st_size > MAX_CARD_BYTES:
                raise InvalidBundle(str(path), "is over 1 MiB")
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidBundle(str(path), error.strerror or "cannot be read") from error
        except ValueError as error:
            raise InvalidBundle(str(path), str(error)) from error

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card from JSON with exactly this class's fields.

        Raises:
            ValueError: it is no JSON, a field is absent, unknown or of another type, or out of
                range.
        """
        card: ModelCard = _read(cls, json.loads(text), "card")
        return card

    def to_json(self) -> str:
        """The text of `card.json`; `from_json` gives the card back."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def verify(self, bundle_dir: Path, parts: Collection[str] = tuple(FOLDERS)) -> None:
        """Compare the files of a bundle with the card.

        Args:
            bundle_dir: the bundle's folder.
            parts: keys of `FOLDERS`; the device needs no cloud UNet, so it leaves that one out.

        Raises:
            ModelMismatch: a folder's files are not those that the card names.
            InvalidBundle: a folder is absent or empty.
        """
        for part in parts:
            found, stated = digest_folder(bundle_dir / FOLDERS[part]), getattr(self.models, part)
            if found != stated:
                raise ModelMismatch(f"folder {FOLDERS[part]}", ours=found, theirs=stated)


@dataclass(frozen=True)
class ServiceCard:
    """What a service tells every caller; the same for all.

    Attributes:
        service_version: of the orchestrator, e.g. "0.1.0".
        models: the family's name and digests.
        latents: format of one latent.
        scheduler: the noise schedule.
        limits: what a request may ask for.
        profiles: the profiles that a request may name, at least one.
        step_kinds: their step kinds and costs.
        distillation: how the UNet was distilled to few steps; None when it was not.

    Raises:
        ValueError: a value is outside its range.
    """

    service_version: str
    models: ModelDigests
    latents: LatentFormat
    scheduler: NoiseSchedule
    limits: Limits
    profiles: tuple[Profile, ...]
    step_kinds: tuple[StepKindCost, ...]
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        _require(bool(_NAME.fullmatch(self.service_version)), "service_version is no version")
        _require(0 < len(self.profiles) == len(set(self.profiles)), "profiles are none, or repeat")
        _require_step_kinds(self.step_kinds)
        size = self.latents.batch_bytes(self.limits.max_candidates)
        _require(size <= _MAX_MESSAGE_BYTES, "the latents of max_candidates are over 2 GiB")
        fits = self.limits.max_steps < self.scheduler.num_train_timesteps
        _require(fits, "max_steps is not below num_train_timesteps")
        _require_distilled_steps(self.distillation, "max_steps", self.limits.max_steps)

    def to_proto(self) -> pb.ServiceCard:
        """The wire's message; `from_proto` gives the card back."""
        latents = asdict(self.latents) | {"wire_type": self.latents.tensor_type}
        distilled = self.distillation
        return pb.ServiceCard(
            service_version=self.service_version,
            models=pb.ModelDigests(**asdict(self.models)),
            latents=pb.LatentFormat(**latents),
            scheduler=pb.SchedulerConfig(**asdict(self.scheduler)),
            limits=pb.Limits(**asdict(self.limits)),
            profiles=[profile.to_proto() for profile in self.profiles],
            step_kinds=[pb.StepKindCost(**asdict(cost)) for cost in self.step_kinds],
            distillation=pb.Distillation(**asdict(distilled)) if distilled else None,
        )

    @classmethod
    def from_proto(cls, message: pb.ServiceCard) -> ServiceCard:
        """Read what a service sent.

        Profiles of a later release are left out: this side cannot ask for them.

        Raises:
            WireError: a value is absent or outside its range.
        """
        known = {profile.to_proto(): profile for profile in Profile}
        try:
            return cls(
                service_version=message.service_version,
                models=_scalars(ModelDigests, message.models),
                latents=_latent_format(message.latents),
                scheduler=_scalars(NoiseSchedule, message.scheduler),
                limits=_scalars(Limits, message.limits),
                profiles=tuple(known[p] for p in message.profiles if p in known),
                step_kinds=tuple(_scalars(StepKindCost, cost) for cost in message.step_kinds[:65]),
                distillation=_scalars(Distillation, message.distillation)
                if message.HasField("distillation")
                else None,
            )
        except ValueError as error:
            raise WireError(f"the service's card: {error}") from error

    def require_bundle(self, card: ModelCard) -> None:
        """Refuse to work with a service that runs another family than this side's bundle.

        Args:
            card: the bundle's card.

        Raises:
            ModelMismatch: family, a digest, the latents' shape, the schedule or the distillation
                differ.
        """
        own = self.distillation
        facts = [
            (f.name, getattr(card.models, f.name), getattr(self.models, f.name))
            for f in fields(ModelDigests)
        ]
        facts.append(("latents", _times(card.latents.shape), _times(self.latents.shape)))
        facts += [
            (f.name, str(getattr(card.schedule, f.name)), str(getattr(self.scheduler, f.name)))
            for f in fields(NoiseSchedule)
        ]
        facts += [
            (name, str(getattr(card.distillation, name, "no")), str(getattr(own, name, "no")))
            for name in (f.name for f in fields(Distillation))
        ]
        for part, ours, theirs in facts:
            if ours != theirs:
                raise ModelMismatch(part, ours, theirs)


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 digest as all cards and messages write it: 64 lower-case hex."""
    return bool(_SHA256.fullmatch(text))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes: 64 lower-case hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def digest_folder(folder: Path) -> str:
    """SHA-256 of a model folder: over the lines "<name> <sha256>" of its files in order of name.

    The files are all *.safetensors, *.onnx, *.json and *.txt below the folder; names are relative
    to it, with slashes.

    Args:
        folder: the model folder, e.g. `<bundle>/unet`.

    Returns:
        64 lower-case hex digits.

    Raises:
        InvalidBundle: the folder is absent, holds no such file, or one cannot be read.
    """
    files = list_folder(folder)
    if not files:
        raise InvalidBundle(str(folder), "is absent or holds no model")
    try:
        return digest_files({name: sha256_file(path) for name, path in files.items()})
    except OSError as error:
        raise InvalidBundle(str(folder), error.strerror or "cannot be read") from error


def list_folder(folder: Path) -> dict[str, Path]:
    """The files of a model folder that its digest covers, by their names below it; in any order."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix in _DIGESTED and path.is_file()
    }


def digest_files(digests: Mapping[str, str]) -> str:
    """The digest of a folder whose files have these names and SHA-256 digests; `digest_folder`."""
    lines = [f"{name} {digests[name]}\n" for name in sorted(digests)]
    return sha256("".join(lines).encode()).hexdigest()


def require_licence(licence: str) -> None:
    """Refuse what a card takes for no licence.

    Raises:
        ValueError: it is empty or over 128 characters.
    """
    _require(0 < len(licence) <= 128, "licence is not 1 to 128 characters")


def digest_bundle(bundle_dir: Path, family: str) -> ModelDigests:
    """Compute the digests of all parts of a bundle, for writing its card.

    Args:
        bundle_dir: the bundle's folder.
        family: name of the family.

    Raises:
        InvalidBundle: a folder is absent or empty.
    """
    digests = {part: digest_folder(bundle_dir / folder) for part, folder in FOLDERS.items()}
    return ModelDigests(family=family, **digests)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def _require_range(value: Any, name: str, low: float, high: float) -> None:
    if not low <= getattr(value, name) <= high:
        raise ValueError(f"{name} is outside {low}..{high}")


def _require_step_kinds(step_kinds: tuple[StepKindCost, ...]) -> None:
    names = {cost.name for cost in step_kinds}
    _require(0 < len(names) == len(step_kinds) <= 64, "step_kinds are none, over 64, or repeat")


def _require_cached_tensors(
    step_kinds: tuple[StepKindCost, ...], tensors: tuple[CachedTensor, ...]
) -> None:
    names = {tensor.name for tensor in tensors}
    for kind in step_kinds:
        _require(kind.name in STEP_KINDS, "step_kinds names a kind that this release lacks")
        needed = {*STEP_KINDS[kind.name].takes, *STEP_KINDS[kind.name].leaves}
        _require(needed <= names, f"cached_tensors lacks one that {kind.name} needs")


def _require_distilled_steps(distillation: Distillation | None, name: str, steps: int) -> None:
    if distillation is not None:
        fits = steps <= distillation.original_steps
        _require(fits, f"{name} is above distillation.original_steps")


def _require_trained(distillation: Distillation | None, trained: int) -> None:
    if distillation is not None:
        fits = distillation.original_steps <= trained and distillation.device_steps < trained
        _require(fits, "distillation has more steps than schedule.num_train_timesteps")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _scalars(kind: type[T], message: Message) -> T:
    names = get_type_hints(kind)
    return kind(**{name: getattr(message, name) for name in names})


def _latent_format(message: pb.LatentFormat) -> LatentFormat:
    names = {number: name for name, number in _WIRE_TYPES.items()}
    wire_type = names.get(message.wire_type, "unspecified")
    return LatentFormat(message.channels, message.height, message.width, wire_type)


def _read(kind: Any, value: Any, path: str) -> Any:
    """Build a value of a dataclass, tuple or scalar type from parsed JSON, type for type."""
    if get_origin(kind) is UnionType:  # of a type and None
        return None if value is None else _read(get_args(kind)[0], value, path)
    if get_origin(kind) is tuple:
        _require(isinstance(value, list), f"{path} is no list")
        return tuple(_read(get_args(kind)[0], item, path) for item in value)
    if not is_dataclass(kind):
        allowed = (int, float) if kind is float else (kind,)
        _require(type(value) in allowed, f"{path} is no {kind.__name__}")
        return value
    hints = get_type_hints(kind)
    _require(isinstance(value, dict), f"{path} is no object")
    _require(set(value) == set(hints), f"{path} must have exactly {', '.join(hints)}")
    make: Any = kind
    return make(**{name: _read(hints[name], value[name], f"{path}.{name}") for name in hints})

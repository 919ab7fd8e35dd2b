"""Whether a cloud model and a device model can share a run: what one leaves, the other goes on."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Literal

from cloud_service.export.bundle_card import read_schedule
from cloud_service.export.errors import ExportFailed
from cloud_service.export.pipeline_folder import INDEX, PipelineFolder, TextFolders, UnetFolder
from obclip.errors import ExitCode, ObclipError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from obclip.schedule import NoiseSchedule

Side = Literal["cloud", "device"]
# How a model was trained; spacing, offset and end are choices of the sampler.
_TRAINED = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type",
)  # fmt: skip
_DIGITS = 16


@dataclass(frozen=True)
class Mismatch:
    """One fact in which two models differ.

    Attributes:
        fact: its name.
        values: both.
        owners: whose they are.
        remedy: what to do about it, "" for another pair.
    """

    fact: str
    values: tuple[object, object]
    owners: tuple[str, str] = ("cloud", "device")
    remedy: str = ""

    def __str__(self) -> str:
        pairs = zip(self.owners, self.values, strict=True)
        words = f"{self.fact}: " + ", ".join(f"{owner} {value}" for owner, value in pairs)
        return f"{words} ({self.remedy})" if self.remedy else words


@dataclass(eq=False)
class PairRefused(ObclipError):
    """The two models cannot work together.

    Attributes:
        mismatches: every fact in which they differ.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.MISMATCH

    mismatches: tuple[Mismatch, ...]

    def __str__(self) -> str:
        facts = "; ".join(map(str, self.mismatches))
        return f"cloud and device do not fit: {facts}; choose models that were made for each other"


class ModelPair:
    """A cloud pipeline and a device model, checked against each other.

    Args:
        cloud: folder of a pipeline.
        device: folder of a pipeline, or of a UNet alone, which uses all else of the cloud's.
        vae: whose decoder the device uses; None needs both to be the same.
        size: pixels of the pictures; None is what the UNets were trained with.

    Raises:
        ExportFailed: a folder cannot be exported.
        PairRefused: they do not fit.
    """

    def __init__(self, cloud: Path, device: Path, vae: Side | None, size: int | None) -> None:
        self.cloud = PipelineFolder(cloud)
        is_pipeline = (device / INDEX).is_file()
        self.device_pipeline = PipelineFolder(device) if is_pipeline else None
        own = self.device_pipeline
        self.device_unet = own.unet if own else UnetFolder(device)
        self._vae, self._size = vae, size
        mismatches = (*self._latents(), *self._schedule(), *self._text(), *self._unet())
        if mismatches:
            raise PairRefused(mismatches)
        self._require_size()

    @property
    def image_size(self) -> int:
        """Pixels of a picture's side."""
        return self._size or self.cloud.unet.sample_size * self.cloud.vae_factor

    @property
    def vae(self) -> Path:
        """Folder of the VAE that the device decodes with."""
        source = self.device_pipeline if self._vae == "device" else None
        return (source or self.cloud).path / "vae"

    @property
    def device_text(self) -> TextFolders | None:
        """The device's own text encoders; None when they are the cloud's."""
        own = self.device_pipeline
        if own is None or own.text.weights_digest == self.cloud.text.weights_digest:
            return None
        return own.text

    @property
    def schedule(self) -> NoiseSchedule:
        """How both sample; after a distilled cloud, how the device does."""
        own = self.device_pipeline
        is_device = self.cloud.is_distilled and own is not None
        return read_schedule(own.scheduler if is_device and own else self.cloud.scheduler)

    def _latents(self) -> Iterator[Mismatch]:
        ours, own = self.cloud, self.device_pipeline
        yield from _compare("latent channels", (ours.unet.channels, self.device_unet.channels))
        channels = ours.unet.channels, ours.vae_config["latent_channels"]
        if channels[0] != channels[1]:
            yield Mismatch("latent channels", channels, ("cloud's UNet", "cloud's VAE"))
        if own is None:
            return
        channels = channels[1], own.vae_config["latent_channels"]
        yield from _compare("VAE latent_channels", channels)
        yield from _compare("VAE scaling_factor", (ours.scaling_factor, own.scaling_factor))
        yield from _compare("VAE factor", (ours.vae_factor, own.vae_factor))
        if self._vae is None:
            digests = ours.vae_digest[:_DIGITS], own.vae_digest[:_DIGITS]
            yield from _compare("VAE digest", digests, "say --vae cloud or --vae device")

    def _schedule(self) -> Iterator[Mismatch]:
        if self.device_pipeline is None:
            return
        ours = read_schedule(self.cloud.scheduler)
        theirs = read_schedule(self.device_pipeline.scheduler)
        for name in _TRAINED:
            values = getattr(ours, name), getattr(theirs, name)
            yield from _compare(f"scheduler {name}", values)

    def _text(self) -> Iterator[Mismatch]:
        ours, own = self.cloud.text, self.device_pipeline
        yield from _fits("cloud", self.cloud.unet, ours)
        yield from _fits("device", self.device_unet, self.device_text or ours)
        if own is not None and self.device_text is None:
            texts = ours.vocabulary, own.text.vocabulary
            digests = [sha256(text.encode()).hexdigest()[:_DIGITS] for text in texts]
            remedy = "the text encoder is the same: use the tokenizer that it was trained with"
            yield from _compare("tokenizer", (digests[0], digests[1]), remedy)

    def _unet(self) -> Iterator[Mismatch]:
        own, remedy = self.device_pipeline, "the device's model has to be an ordinary one"
        if own is not None and own.is_distilled:
            names = self.cloud.scheduler["_class_name"], own.scheduler["_class_name"]
            yield Mismatch("scheduler", names, remedy=remedy)
        elif self.device_unet.takes_guidance:
            told = self.cloud.unet.takes_guidance, True
            yield Mismatch("is told the guidance scale", told, remedy=remedy)
        if self._size is None:
            sizes = self.cloud.unet.sample_size, self.device_unet.sample_size
            yield from _compare("sample size", sizes, "say --size")

    def _require_size(self) -> None:
        levels = [len(u.config["block_out_channels"]) for u in (self.cloud.unet, self.device_unet)]
        step = self.cloud.vae_factor * 2 ** (max(levels) - 1)
        if self.image_size % step:
            raise ExportFailed("--size", f"is {self.image_size}", f"take a multiple of {step}")


def _compare(fact: str, values: tuple[object, object], remedy: str = "") -> Iterator[Mismatch]:
    if values[0] != values[1]:
        yield Mismatch(fact, values, remedy=remedy)


def _fits(side: str, unet: UnetFolder, text: TextFolders) -> Iterator[Mismatch]:
    """What a UNet takes against what its text encoders give."""
    owners = f"{side}'s text encoder", f"{side}'s UNet"
    for fact, values in {
        "text width": (text.format.width, unet.text_width),
        "pooled width": (text.format.pooled_width, unet.pooled_width),
    }.items():
        if values[0] != values[1]:
            yield Mismatch(fact, values, owners)

"""What the user gets back."""

import json
from dataclasses import asdict, dataclass, field
from typing import Self

from PIL import Image

from device_client.leakage import declared_leakage
from device_client.public_side.cloud import CloudShare
from device_client.transformation.skeleton import Skeleton
from obclip.solver import SolverState


@dataclass(frozen=True)
class CloudReport:
    """Facts about the exchange with the cloud.

    Attributes:
        candidates: N.
        attributes: Names of the sensitive attributes that occur.
        lexicon_version: Of the device's lexicon.
        leakage: Everything that the service learned, in words.
        is_cut: The prompt's end was left out, for the text encoder takes no more.
        sent_bytes: Size of the request.
        received_bytes: Size of all responses.
        wall_s: From sending to the end of the stream, seconds.
        server_s: Wall time of the service's steps, seconds, as it says.
        model_s: Wall time inside its model calls, seconds, as it says.
        evals: Its UNet passes counted per sample, guidance included, as it says.
        batch_sizes: Samples in each of its UNet calls, as it says.
    """

    candidates: int
    attributes: tuple[str, ...]
    lexicon_version: str
    leakage: tuple[str, ...]
    is_cut: bool
    sent_bytes: int
    received_bytes: int
    wall_s: float
    server_s: float
    model_s: float
    evals: float
    batch_sizes: tuple[int, ...]

    @classmethod
    def of(cls, skeleton: Skeleton, is_cut: bool, share: CloudShare, wall_s: float) -> Self:
        """Puts together what the public side knows.

        Args:
            skeleton: What was sent.
            is_cut: Its end was left out.
            share: What came back.
            wall_s: How long it took, seconds.
        """
        return cls(
            candidates=skeleton.n,
            attributes=skeleton.attributes,
            lexicon_version=skeleton.lexicon_version,
            leakage=declared_leakage(skeleton),
            is_cut=is_cut,
            sent_bytes=share.sent_bytes,
            received_bytes=share.received_bytes,
            wall_s=wall_s,
            server_s=share.statistics.server_s,
            model_s=share.statistics.model_s,
            evals=share.statistics.evals,
            batch_sizes=tuple(share.statistics.batch_sizes),
        )


@dataclass(frozen=True)
class GenerationReport:
    """Facts about one generation, safe to share: no prompt, no choice.

    Attributes:
        seed: Gives the same picture again, with the same prompt and settings.
        steps: Steps of the whole run, T.
        guidance_scale: Classifier-free guidance.
        switch_point: k; the cloud ran the steps t < k.
        profile: How the cloud saved work.
        device_s: From the end of the stream to the picture, seconds.
        cloud: The exchange; None when nothing was sent.
        refusal: Why nothing was sent although a service was there, in fixed words; else None.
    """

    seed: int
    steps: int
    guidance_scale: float
    switch_point: int
    profile: str
    device_s: float
    cloud: CloudReport | None
    refusal: str | None = None

    def to_json(self) -> str:
        """Returns one JSON object with this class's fields."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, eq=False)
class GenerationResult:
    """A picture and what is known about its making.

    All but the report is the user's own and stays on the device.

    Attributes:
        image: The picture, RGB.
        report: Facts that are safe to share.
        unknown_words: The user's words that the model family does not know and so ignores.
        are_words_cut: The end of the user's words was left out on the device, whose text encoder
            takes no more.
        sheet: What the cloud saw beside the picture, if asked for; it marks the user's candidate.
        cloud_batch: State of all candidates when they left the cloud, if asked for; public. Where
            nothing was sent, the noise that all start from.
    """

    image: Image.Image = field(repr=False)
    report: GenerationReport
    unknown_words: tuple[str, ...] = field(repr=False)
    are_words_cut: bool = field(repr=False)
    sheet: Image.Image | None = field(repr=False, default=None)
    cloud_batch: SolverState | None = field(repr=False, default=None)

"""The request: a function of skeleton, public settings and coins, and of nothing else."""

from collections.abc import Callable

from device_client.public_side.coins import Coins
from device_client.public_side.settings import GenerationSettings
from device_client.public_side.transport import MAX_CANDIDATES
from device_client.transformation.skeleton import Skeleton
from obclip.card import Limits
from obclip.errors import InvalidRequest, TooManyCandidates
from obclip.plan import Profile
from obclip.v1 import generation_pb2

_DIGEST_DIGITS = 64


def build_request(
    skeleton: Skeleton, settings: GenerationSettings, coins: Coins, cloud_unet_digest: str
) -> generation_pb2.GenerateRequest:
    """Returns the message that leaves the device.

    Args:
        skeleton: The prompt with its sensitive slots emptied; it renders every candidate.
        settings: Public settings.
        coins: Public randomness.
        cloud_unet_digest: Of the cloud UNet that the device's bundle was made for.
    """
    return generation_pb2.GenerateRequest(
        candidates=skeleton.candidates(),
        negative_prompt=skeleton.negative_prompt,
        seed=coins.seed,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        switch_point=settings.switch_point,
        profile=settings.profile.to_proto(),
        cloud_unet_digest=cloud_unet_digest,
        lexicon_version=skeleton.lexicon_version,
    )


def request_bytes(skeleton: Skeleton) -> int:
    """Returns how many bytes the message will have.

    It is exact for 1 to 127 steps with a seed, a guidance scale and a switch point above 0; others
    differ by a few bytes.

    Args:
        skeleton: The prompt with its sensitive slots emptied.
    """
    settings = GenerationSettings(25, 2.5, 10, Profile.BARE)
    return build_request(skeleton, settings, Coins(1), "0" * _DIGEST_DIGITS).ByteSize()


def check_candidates(
    skeleton: Skeleton, limits: Limits, count_tokens: Callable[[str], int]
) -> None:
    """Refuses a candidate set that the service would refuse, before anything is sent.

    The verdict is one for all candidates: it depends on the set and its longest members only.

    Args:
        skeleton: Renders the candidates.
        limits: From the service's card.
        count_tokens: Tokens of a text, begin and end marks included.

    Raises:
        TooManyCandidates: N is over the limit.
        InvalidRequest: The longest candidate, or the negative prompt, is over a limit.
    """
    candidates = skeleton.candidates()
    most = min(limits.max_candidates, MAX_CANDIDATES)
    if len(candidates) > most:
        raise TooManyCandidates(len(candidates), most)
    _check_length("prompt", candidates, limits, count_tokens)
    _check_length("negative_prompt", (skeleton.negative_prompt,), limits, count_tokens)


def _check_length(
    field: str, texts: tuple[str, ...], limits: Limits, count_tokens: Callable[[str], int]
) -> None:
    size = max(len(text.encode()) for text in texts)
    if size > limits.max_prompt_bytes:
        raise _too_long(field, size, limits.max_prompt_bytes, "bytes")
    tokens = max(count_tokens(text) for text in texts)
    if tokens > limits.max_prompt_tokens:
        raise _too_long(field, tokens, limits.max_prompt_tokens, "tokens")


def _too_long(field: str, count: int, limit: int, unit: str) -> InvalidRequest:
    return InvalidRequest(
        field, f"its longest candidate has {count} {unit}, over the limit of {limit}", "shorten it"
    )

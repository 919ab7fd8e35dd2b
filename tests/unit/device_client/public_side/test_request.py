import pytest

from device_client.public_side.coins import Coins
from device_client.public_side.request import build_request, check_candidates, request_bytes
from device_client.public_side.settings import GenerationSettings
from device_client.transformation import transform
from device_client.transformation.skeleton import Skeleton
from obclip.card import Limits
from obclip.errors import InvalidRequest, TooManyCandidates
from obclip.plan import Profile
from obclip.v1 import generation_pb2, profile_pb2
from tests.fakes.scripted_service import LIMITS


@pytest.fixture
def skeleton() -> Skeleton:
    return transform("an old woman in a garden", "blurred", max_candidates=30).skeleton


def test_every_field_of_the_message_is_set(skeleton: Skeleton) -> None:
    settings = GenerationSettings(25, 2.5, 10, Profile.BARE)
    request = build_request(skeleton, settings, Coins(7), "ab" * 32)
    names = [field.name for field, _value in request.ListFields()]
    assert names == [field.name for field in generation_pb2.GenerateRequest.DESCRIPTOR.fields]
    assert tuple(request.candidates) == skeleton.candidates()
    assert request.negative_prompt == "blurred"
    assert (request.seed, request.steps, request.switch_point) == (7, 25, 10)
    assert request.profile == profile_pb2.ACCELERATION_PROFILE_BARE


@pytest.mark.parametrize(("steps", "switch_point"), [(25, 10), (127, 127), (1, 1)])
def test_the_size_is_known_before(skeleton: Skeleton, steps: int, switch_point: int) -> None:
    settings = GenerationSettings(steps, 7.5, switch_point, Profile.FAST)
    request = build_request(skeleton, settings, Coins(2**53 - 1), "ab" * 32)
    assert request_bytes(skeleton) == request.ByteSize()


def count_words(text: str) -> int:
    return len(text.split())


def limits(**changes: int) -> Limits:
    return Limits(**({**LIMITS.__dict__, **changes}))


def test_what_fits_passes(skeleton: Skeleton) -> None:
    longest = max(len(candidate) for candidate in skeleton.candidates())
    fitting = limits(max_candidates=6, max_prompt_bytes=longest, max_prompt_tokens=6)
    check_candidates(skeleton, fitting, count_words)


def test_too_many_candidates(skeleton: Skeleton) -> None:
    with pytest.raises(TooManyCandidates) as caught:
        check_candidates(skeleton, limits(max_candidates=5), count_words)
    assert (caught.value.count, caught.value.limit) == (6, 5)


def test_a_service_cannot_ask_for_more_than_the_device_reads(skeleton: Skeleton) -> None:
    check_candidates(skeleton, limits(max_candidates=4096), count_words)


@pytest.mark.parametrize("unit", ["bytes", "tokens"])
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_too_long_is_told_with_its_unit(field: str, unit: str) -> None:
    long = " ".join(["garden"] * 50)
    texts = {"prompt": "a garden", "negative_prompt": "", field: long}
    skeleton = transform(*texts.values(), max_candidates=30).skeleton
    bound = {f"max_prompt_{unit}": 20}
    with pytest.raises(InvalidRequest, match=f"^{field}: .* {unit}"):
        check_candidates(skeleton, limits(**bound), count_words)


def test_the_verdict_is_one_for_all_candidates(skeleton: Skeleton) -> None:
    longest = max(len(candidate) for candidate in skeleton.candidates())
    for prompt in skeleton.candidates():
        again = transform(prompt, "blurred", max_candidates=30).skeleton
        with pytest.raises(InvalidRequest, match=f"{longest} bytes"):
            check_candidates(again, limits(max_prompt_bytes=longest - 1), count_words)

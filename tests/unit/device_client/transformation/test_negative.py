import pytest

from device_client.transformation import transform


@pytest.mark.parametrize(
    ("written", "public"),
    [
        ("blurry, ugly", "blurry, ugly"),
        ("beard, blurry", "blurry"),
        ("an old man, blurry, asian face", "blurry"),
        ("woman", ""),
        ("in Lagos, noise", "noise"),
        ("", ""),
    ],
)
def test_sensitive_items_are_left_out(written: str, public: str) -> None:
    skeleton = transform("a woman with a hat", written).skeleton
    assert skeleton.negative_prompt == public
    for candidate in skeleton.candidates():
        assert transform(candidate, public).skeleton == skeleton

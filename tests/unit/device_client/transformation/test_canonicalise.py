import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_client.transformation import Lexicon, load_lexicon
from device_client.transformation.canonicalise import canonicalise


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("  a\tyoung\n woman ", "a young woman"),
        ("wom\u200ban", "woman"),
        ("w\u043em\u0430n", "woman"),  # Cyrillic letters
        ("\uff57\uff4f\uff4d\uff41\uff4e", "woman"),  # full width
        ("\U0001d430\U0001d428\U0001d426\U0001d41a\U0001d427", "woman"),  # mathematical bold
        ("the \u201cold\u201d man\u2019s hat \u2014 red", 'the "old" man\'s hat - red'),
        ("\U0001f469\U0001f3ff\u200d\U0001f9b1 runs", "woman runs"),  # skin tone and hair
        ("a \U0001f46e\u200d\u2640\ufe0f", "a female police officer"),
        ("from \U0001f1f3\U0001f1ec", "from"),  # a flag
        ("caf\u00e9 by Beksi\u0144ski", "caf\u00e9 by Beksi\u0144ski"),
    ],
)
def test_what_looks_the_same_is_spelt_the_same(written: str, read: str, lexicon: Lexicon) -> None:
    assert canonicalise(written, lexicon.pictures) == read


@given(st.text())
@settings(deadline=None)
def test_it_is_the_identity_on_its_own_output(text: str) -> None:
    pictures = load_lexicon().pictures
    once = canonicalise(text, pictures)
    assert canonicalise(once, pictures) == once

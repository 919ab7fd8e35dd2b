import pytest

from device_client.transformation import Lexicon, load_lexicon


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    """The lexicon that is shipped."""
    return load_lexicon()

import pytest

from cloud_service.settings import Settings
from cloud_service.tokenizer import PromptTokenizer
from obclip.card import ServiceCard
from obclip.plan import Profile
from tests.fakes.tiny_bundle import TinyBundle


@pytest.fixture(scope="session")
def card(bundle: TinyBundle) -> ServiceCard:
    """What a service with the default settings tells about the tiny bundle."""
    return ServiceCard(
        service_version="0.1.0",
        models=bundle.card.models,
        latents=bundle.card.latents,
        scheduler=bundle.card.schedule,
        limits=Settings().limits(bundle.card),
        profiles=tuple(Profile),
        step_kinds=bundle.card.step_kinds,
    )


@pytest.fixture(scope="session")
def tokenizer(bundle: TinyBundle) -> PromptTokenizer:
    return PromptTokenizer(bundle.folder / "tokenizer" / "tokenizer.json", bundle.card.text)

import pytest

from tests.fakes.scripted_service import HonestCloud
from tests.fakes.tiny_bundle import TinyBundle, write_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> TinyBundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def one_unet_bundle(tmp_path_factory: pytest.TempPathFactory) -> TinyBundle:
    """The same UNet on both sides."""
    return write_tiny_bundle(tmp_path_factory.mktemp("one"), one_unet=True)


@pytest.fixture(scope="session")
def cloud(tiny_bundle: TinyBundle) -> HonestCloud:
    return HonestCloud(tiny_bundle)


@pytest.fixture(scope="session")
def one_unet_cloud(one_unet_bundle: TinyBundle) -> HonestCloud:
    return HonestCloud(one_unet_bundle)

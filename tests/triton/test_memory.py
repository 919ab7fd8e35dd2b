"""What the weights of all step kinds of a service take, measured in its processes."""

from pathlib import Path

import pytest

from cloud_service.service import running_service
from cloud_service.settings import Settings, embedded_bundle
from obclip.plan import Profile
from tests.triton.conftest import process_group

pytestmark = [pytest.mark.triton, pytest.mark.slow]
# A kind's graph and the warm-up's activations; the other 50 MiB of a kind are a copy of weights.
BESIDE_WEIGHTS_BYTES = 10 << 20


def _private_bytes(pid: int) -> int:
    """Memory that no other process shares, and that no file backs."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (found,) = [line for line in lines if line.startswith("Private_Dirty:")]
    return int(found.split()[1]) * 1024


def _model(pid: int) -> str:
    arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    paths = [Path(argument) for argument in arguments if argument.endswith("/model.py")]
    return paths[0].parent.parent.name if paths else ""


@pytest.mark.parametrize(
    "profiles", [(Profile.BARE, Profile.BALANCED, Profile.FAST), (Profile.PAPER,), tuple(Profile)]
)
async def test_weights_take_at_most_one_and_a_half_unets(profiles: tuple[Profile, ...]) -> None:
    weights = embedded_bundle() / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    if not weights.is_file():
        pytest.skip(f"{weights} is missing: make models")
    one_unet = 2 * weights.stat().st_size  # as fp32
    settings = Settings(listen="127.0.0.1:0", profiles=profiles)
    async with running_service(settings) as service:
        assert service.triton is not None
        with process_group(service.triton.pid) as group:
            private = {_model(pid): _private_bytes(pid) for pid in group.pids}
            maps = [Path(f"/proc/{pid}/maps").read_text() for pid in group.pids]
    program = private["text_encoder"]  # interpreter, libraries, and weights of a few MiB
    kinds = {name: size - program for name, size in private.items() if name.startswith("unet_")}
    mapped = one_unet if any("shared_weights" in text for text in maps) else 0
    own = sum(max(0, size - BESIDE_WEIGHTS_BYTES) for size in kinds.values())
    assert mapped + own <= 1.5 * one_unet, kinds

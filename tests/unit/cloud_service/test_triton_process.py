"""What is said of a tritonserver that ended, read from its log."""

import asyncio
from pathlib import Path

import pytest

from cloud_service.startup_error import CannotStart
from cloud_service.triton_process import TritonProcess

NO_ROOM = (
    "E1122 14:40:26.750468 19697 model_lifecycle.cc:642] \"failed to load 'unet_full' version 1: "
    "Internal: Unable to initialize shared memory key 'obclip_1' to requested size (2147483648 "
    'bytes)."\n'
)


async def _never(_timeout_s: float) -> bool:
    return False


@pytest.mark.parametrize(
    ("log", "remedy"),
    [
        (NO_ROOM, r"; enlarge /dev/shm \(of a container: --shm-size\), lower OBCLIP_MAX_"),
        ("error: creating server: Internal\n", "; start with --verbose to see its log"),
    ],
)
async def test_names_the_remedy_of_what_the_log_says(tmp_path: Path, log: str, remedy: str) -> None:
    (tmp_path / "triton.log").write_text(log)
    process = await asyncio.create_subprocess_exec("false")
    triton = TritonProcess(process, "127.0.0.1:1", tmp_path / "triton.log", "obclip_none_")
    with pytest.raises(CannotStart, match=f"tritonserver ended with code 1: .*{remedy}"):
        await triton.wait_until(_never, 10)

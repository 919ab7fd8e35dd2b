import os
import subprocess
from pathlib import Path

from cloud_service.leftovers import own_prefix, sweep


def test_what_dead_owners_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:  # noqa: S607 -- any program will do
        dead.wait()
    mine = own_prefix("test")
    theirs = mine.replace(f"_{os.getpid()}_", f"_{dead.pid}_")
    elsewhere = theirs.replace("obclip_test_", "obclip_test_7")  # another process namespace
    for name in (f"{mine}a", f"{elsewhere}a", f"{theirs}a", "obclip_test_nonsense"):
        (tmp_path / name).write_text("")
    (tmp_path / f"{theirs}folder").mkdir()
    (tmp_path / f"{theirs}folder" / "file").write_text("")
    (tmp_path / f"{theirs}link").symlink_to(tmp_path / f"{mine}a")
    sweep(tmp_path, "test")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{mine}a", f"{elsewhere}a", "obclip_test_nonsense"}

import fcntl
import os
import pty
import struct
import sys
import termios

import pytest

from device_client.commands.progress import progress


def test_quiet_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as tell:
        tell("cloud", 2, 2)
    assert capsys.readouterr() == ("", "")


def test_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=False) as tell:
        for event in (("queue", 3, 0), ("queue", 0, 0), ("cloud", 1, 2), ("cloud", 2, 2)):
            tell(*event)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["waiting, 3 ahead", "cloud, all candidates: 2 of 2 steps"]


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with progress(quiet=False) as tell:
            for event in (("queue", 3, 0), ("cloud", 2, 2), ("device", 5, 5)):
                tell(*event)
        monkeypatch.undo()
        os.write(terminal, b"\n<end>")
        shown = ""
        while "<end>" not in shown:
            shown += os.read(main, 65536).decode()
    os.close(main)
    assert "cloud, all candidates" in shown
    assert "2/2" in shown
    assert "5/5" in shown

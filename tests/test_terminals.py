"""What the command line prints, in terminals and consoles that are not the writer's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (["gpus", "3060"], ["explain", "--gpu", "no such GPU"], ["compare", "--rounds", "0"])
COLOUR = re.compile(r"\x1b\[(?:\d+;)*[34][0-9](?:;\d+)*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "inductor_override", *command],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


def in_a_terminal(command: list[str], columns: int) -> str:
    pty = pytest.importorskip("pty", reason="needs POSIX terminals")
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "inductor_override", *command],
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"},
        stdin=there,
        stdout=there,
        stderr=there,
    )
    os.close(there)
    said = b""
    try:
        while more := os.read(here, 65536):
            said += more
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(here)
    process.wait()
    return CONTROL.sub("", said.decode()).replace("\r", "")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("columns", [50, 80])
def test_what_is_said_in_a_terminal_fits_it(command: list[str], columns: int) -> None:
    said = in_a_terminal(command, columns)
    assert said
    assert max(map(len, said.splitlines())) <= columns


def test_a_terminal_shows_which_process_runs_and_how_many_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = ["compare", "--command", "true", "--rounds", "1"]
    assert re.search(r"round 1 of 1: min_sms=0 .* 3/4 ", in_a_terminal(command, 100))


def test_what_is_said_elsewhere_is_one_line() -> None:
    done = run(COMMANDS[1])
    assert len(done.stderr.decode().splitlines()) == 1
    assert len(done.stderr) > 80


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_color_is_respected(command: list[str]) -> None:
    done = run(command, FORCE_COLOR="1", NO_COLOR="1")
    assert not COLOUR.search((done.stdout + done.stderr).decode())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_that_knows_few_characters(command: list[str], encoding: str) -> None:
    done = run(command, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert b"Traceback" not in done.stderr
    assert done.stdout + done.stderr
    (done.stdout + done.stderr).decode("ascii")

"""Standard streams that are closed, full or cut off: one line or a quiet end, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment, upm_dev
from projects import Project

from devserver.simulator import simulated_host

COMMANDS = (
    ("--help",),
    ("serve", "--help"),
    ("explain", "X202"),
    ("render", "."),
    ("validate", "."),
    ("validate", "--format", "json", "."),
)
"""Each writes in a way of its own."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Project(tmp_path / "hello").root


def run(root: Path, *command: str, redirect: str) -> subprocess.CompletedProcess[str]:
    shell = f'exec "$0" -m devserver "$@" {redirect}'
    return subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable, *command],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_error(root: Path, command: tuple[str, ...]) -> None:
    """What was asked for is lost, so that is a failure; the interpreter has no word to add."""
    ended = run(root, *command, redirect=">/dev/full")

    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "error: standard output cannot be written: No space left on device",
        "  make room, or write it somewhere else",
    ]


@pytest.mark.parametrize("redirect", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", [COMMANDS[3], COMMANDS[4]], ids=" ".join)
def test_a_closed_stream_is_as_good_as_dev_null(
    root: Path, command: tuple[str, ...], redirect: str
) -> None:
    ended = run(root, *command, redirect=redirect)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert bool(ended.stdout) is (">&-" not in redirect.replace("2>&-", ""))


def test_nothing_else_gets_the_number_of_a_closed_stream(root: Path) -> None:
    """A file opened first would be number 1, and the descriptor would be written into it."""
    program = (
        "import os, sys\n"
        "from devserver.cli import main\n"
        "main(['render', '.'], standalone_mode=False)\n"
        "os.write(2, os.readlink('/proc/self/fd/1').encode())\n"
    )
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, program],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.stderr == "/dev/null"


def test_a_reader_that_goes_away_ends_it_without_a_word(root: Path) -> None:
    """As SIGPIPE ends any other command: 141."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, "-m", "devserver", "render", "."],
            cwd=root,
            env=environment(),
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )

    assert (ended.returncode, ended.stderr) == (141, "")


async def test_serve_says_once_that_its_output_is_lost_and_goes_on(
    root: Path, tmp_path: Path
) -> None:
    """Lines on a full disk are lost, the app is not."""
    log = tmp_path / "full"
    log.symlink_to("/dev/full")
    async with (
        simulated_host(port=0) as host,
        upm_dev(
            *("serve", root, "--json", "--port", "0", "--target", host.url, "--log-file", log),
            env=environment(XDG_STATE_HOME=str(tmp_path / "state")),
        ) as process,
    ):
        await process.seen("target", state="confirmed")
        assert await process.stop() == 130
        await process.ended()

    (line,) = [each for each in process.errors.splitlines() if "cannot be written" in each]
    assert line.startswith(f"warning: {log} cannot be written any more: No space left on device")

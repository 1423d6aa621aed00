"""Letters on a real terminal, answered by a real process."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from processes import environment, upm_dev
from projects import Project

from devserver.commands import Agree, Command, OpenDashboard, Pause, Quit, RegisterAgain
from devserver.events import Paused, Published, Started, State, apply
from devserver.simulator import simulated_host
from devserver.terminal.keys import HELP, asked, told


class Terminal:
    """The other side of a terminal that `upm-dev serve` runs in."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._shown = ""
        self._fresh = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        with suppress(OSError):  # the process has gone
            self._shown += os.read(self._fd, 65536).decode("utf-8", "replace")
            self._fresh.set()
            return
        asyncio.get_running_loop().remove_reader(self._fd)

    def type(self, keys: str, end: str = "\n") -> None:
        os.write(self._fd, f"{keys}{end}".encode())

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(15):
            while text not in self._shown:
                self._fresh.clear()
                await self._fresh.wait()
        self._shown = self._shown.partition(text)[2]


@asynccontextmanager
async def terminal(project: Project, target: str, *more: str) -> AsyncIterator[Terminal]:
    command = [sys.executable, "-m", "devserver", "serve", str(project.root), "--port", "0"]
    pid, fd = pty.fork()
    if not pid:
        os.execve(sys.executable, [*command, "--target", target, *more], environment(CI=""))
    try:
        yield Terminal(fd)
    finally:
        asyncio.get_running_loop().remove_reader(fd)
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)  # noqa: ASYNC222 - it is killed
        os.close(fd)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_the_keys(tmp_path: Path) -> None:
    """Help, addresses, targets, the last change, once more, and the end."""
    project = Project(tmp_path / "hello")
    async with (
        simulated_host(port=0, install_time=0) as host,
        terminal(project, host.url) as screen,
    ):
        await screen.shows("h + Enter shows the keys")
        await screen.shows("confirmed r1")
        screen.type("h")
        await screen.shows(HELP["q"])
        screen.type("u")
        await screen.shows("dashboard")
        screen.type("t")
        await screen.shows(host.url)
        screen.type("d")
        await screen.shows("added")
        screen.type("x")
        await screen.shows("means nothing")
        screen.type("r")
        await screen.shows("confirmed r1")
        screen.type("y")
        await screen.shows("nothing waits for your yes")
        project.save(project.template.read_text().replace("{{ key }}", "{{ key }}.anew"))
        await screen.shows("KEY-CHANGED")
        await screen.shows("press y")
        screen.type("y")
        await screen.shows("confirmed r2")
        assert set(host.state.plugins) >= {"com.acme.hello.anew"}
        screen.type("q")
        await screen.shows("stopped, unregistered from")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_yes_and_pause(tmp_path: Path) -> None:
    """`y` lets go on what waits for the user's word; `p` has saves wait, and go on."""
    project = Project(tmp_path / "hello")
    async with simulated_host(port=0, install_time=0) as host:
        theirs = environment(XDG_STATE_HOME=str(tmp_path / "theirs"))
        given = ("register", project.root, "--target", host.url, "--json", "--port", "0")
        async with upm_dev(*given, env=theirs) as other:
            assert await other.process.wait() == 0
        async with terminal(project, host.url) as screen:
            await screen.shows("NOT-OURS")
            screen.type("y nobody")
            await screen.shows("no target is called nobody")
            screen.type("y jira")
            await screen.shows("confirmed r1")
            screen.type("y")
            await screen.shows("nothing waits for your yes")

            screen.type("p")
            await screen.shows("paused: saves are checked, and wait")
            project.save(project.template_with("2.0"))
            await screen.shows("r2")
            screen.type("t")
            await screen.shows("jira  confirmed r1")
            screen.type("P")
            await screen.shows("goes on")
            await screen.shows("confirmed r2")


def test_what_is_no_terminal_is_not_heard(tmp_path: Path) -> None:
    """Nothing typed into a pipe is a key, and nothing says that there are any."""
    project = Project(tmp_path / "hello")
    project.save("<broken")
    command = [sys.executable, "-m", "devserver", "serve", str(project.root), "--port", "0"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("q\nh\n")
        process.stdin.flush()
        shown = ""
        for line in process.stdout:
            shown += line
            if "withheld" in line:
                break
        process.stdin.write("q\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert "Enter" not in shown


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("r", RegisterAgain()),
        ("r jira", RegisterAgain("jira")),
        ("y", Agree()),
        ("y jira", Agree("jira")),
        ("p", Pause(False)),
        ("o", OpenDashboard()),
        ("q", Quit()),
        ("q jira", None),
        ("r nobody", None),
        ("", None),
        ("rr", None),
    ],
)
def test_what_is_asked(typed: str, command: Command | None) -> None:
    """A letter, and for some the name of a target; `p` says the other of what is so."""
    started = Started(urls={}, targets={"jira": "http://x"}, ready_ms=1, watcher="x")
    state = apply(apply(State(), started), Paused(paused=True))
    assert asked(typed, state) == command


def test_before_anything_is_known() -> None:
    """Keys are answered all the same; text of others is made harmless."""
    state = State()
    assert told("d", state) == ["", "  nothing is published yet", ""]
    assert told("t", state) == ["", "  no target yet", ""]
    assert told("?", state) is None
    started = Started(urls={"app": "http://x/\x1b[2J"}, targets={}, ready_ms=1, watcher="x")
    state = apply(state, started)
    assert "\x1b" not in "".join(told("u", state) or ())
    state = apply(state, Published(revision="r1", digest="d", url="u"))
    assert told("d", state) == ["", "  r1", "    same modules", ""]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_a_question_can_be_left(tmp_path: Path) -> None:
    """Ctrl-C at the password is heard at once, and nothing is sent."""
    async with (
        simulated_host(port=0) as host,
        terminal(Project(tmp_path / "hello"), host.url, "--user", "bob") as screen,
    ):
        await screen.shows("Password of bob")
        screen.type("\x03", end="")
        await screen.shows("stopped")
        assert not host.journal

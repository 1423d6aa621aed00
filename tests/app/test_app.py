"""The app as a child: started, waited for, started again, ended with everything it started."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ports import free_port

from devserver import app as module
from devserver.app import CHUNK, LINE, App, environment, pauses
from devserver.backend import Backend
from devserver.events import AppChanged, AppOutput, Bus, Event, Notice, Reader
from devserver.redact import Redactor

SERVER = """\
import http.server, os, sys
print("word", {word!r}, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write({word!r}.encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""


def lives(pid: int) -> bool:
    """Whether it runs; what waits to be buried does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class Running:
    def __init__(self, root: Path, events: Reader, backend: Backend) -> None:
        self.root = root
        self.backend = backend
        self._events = events
        self.seen: list[Event] = []

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(15):
            async for event in self._events:
                self.seen.append(event)
                if wanted(event):
                    return event
        raise AssertionError(self.seen)

    async def state(self, name: str) -> AppChanged:
        found = await self.until(lambda each: isinstance(each, AppChanged) and each.state == name)
        assert isinstance(found, AppChanged)
        return found

    async def said(self, text: str) -> None:
        await self.until(lambda each: isinstance(each, AppOutput) and text in " ".join(each.lines))

    async def answer(self) -> bytes:
        return (await self.backend.send("GET", "/", (), b"")).body


@asynccontextmanager
async def running(
    root: Path, command: str, port: int, *, restart: bool = True
) -> AsyncIterator[Running]:
    bus = Bus()
    backend = Backend(f"http://127.0.0.1:{port}", command=command)
    others = frozenset if restart else None
    app = App(command, root, bus, backend=backend, environ=os.environ, others=others)
    with bus.reading() as events:
        task = asyncio.create_task(app.run())
        try:
            yield Running(root, events, backend)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await app.end()
            await backend.close()


async def test_started_and_restarted(tmp_path: Path) -> None:
    """It is ready when its port answers; a change of its sources starts it again, requests wait."""
    port = free_port()
    source = tmp_path / "app.py"
    source.write_text(SERVER.format(word="one", port=port), encoding="utf-8")
    async with running(tmp_path, "python app.py", port) as app:
        assert await app.answer() == b"one"
        await app.state("ready")

        source.write_text(SERVER.format(word="two", port=port), encoding="utf-8")
        await app.state("starting")
        assert await app.answer() == b"two"

        (tmp_path / "data.json").write_text("{}", encoding="utf-8")
        for folder in (".git", ".venv", "__pycache__", "node_modules", "target"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "x.py").write_text("1", encoding="utf-8")
        await app.state("ready")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await app.state("starting")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)


async def test_an_app_that_reloads_itself(tmp_path: Path) -> None:
    """Is left alone when its sources change, where the settings say so."""
    port = free_port()
    source = tmp_path / "app.py"
    source.write_text(SERVER.format(word="one", port=port), encoding="utf-8")
    async with running(tmp_path, "python app.py", port, restart=False) as app:
        await app.state("ready")
        source.write_text(SERVER.format(word="two", port=port), encoding="utf-8")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await app.state("starting")
        assert await app.answer() == b"one"


async def test_a_crash(tmp_path: Path) -> None:
    """Its words and its code are told; it is tried again, at once when it is mended."""
    port = free_port()
    source = tmp_path / "app.py"
    source.write_text("print('why', flush=True); raise SystemExit(3)", encoding="utf-8")
    async with running(tmp_path, "python app.py", port) as app:
        await app.said("why")
        crashed = await app.state("crashed")
        assert crashed.detail is not None
        assert crashed.detail.startswith("exit code 3; starts again in 0.5 s")
        assert "again in 1 s" in ((await app.state("crashed")).detail or "")
        source.write_text(SERVER.format(word="mended", port=port), encoding="utf-8")
        await app.state("ready")
        assert await app.answer() == b"mended"


async def test_a_crash_after_a_good_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the first one again."""
    monkeypatch.setattr(module, "STEADY", 0.0)
    async with running(tmp_path, "exit 3", free_port()) as app:
        for _ in range(2):
            assert "again in 0.5 s" in ((await app.state("crashed")).detail or "")


async def test_an_app_that_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told after a while, and requests wait for it no longer."""
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    async with running(tmp_path, "sleep 60", free_port()) as app:
        told = await app.until(lambda each: isinstance(each, Notice))
        assert isinstance(told, Notice)
        assert "nothing answers at http://127.0.0.1:" in told.message
        await asyncio.wait_for(app.backend.awaited(), 1)


async def test_a_line_without_end_is_not_waited_for(tmp_path: Path) -> None:
    """Its beginning is told, and no more of it is kept."""
    (tmp_path / "said.txt").write_text("x" * 3 * CHUNK, encoding="utf-8")
    async with running(tmp_path, "cat said.txt; sleep 60", free_port()) as app:
        await app.said("x" * LINE)


async def test_output_paints_nothing(tmp_path: Path) -> None:
    """Colours and cursors are for the app's own terminal."""
    (tmp_path / "said.txt").write_text("\x1b[31mred\x1b[0m\x1b[2Jplain\n", encoding="utf-8")
    async with running(tmp_path, "cat said.txt", free_port()) as app:
        await app.said("redplain")


async def test_the_whole_group_ends(tmp_path: Path) -> None:
    """What the app started ends with it, even what ignores being asked."""
    port = free_port()
    (tmp_path / "child.py").write_text(
        "import signal, time, os\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('child.pid', 'w').write(str(os.getpid()))\n"
        "print('child up', flush=True)\n"
        "time.sleep(600)",
        encoding="utf-8",
    )
    async with running(tmp_path, f"{sys.executable} child.py & wait", port) as app:
        await app.said("child up")
        pid = int((tmp_path / "child.pid").read_text(encoding="ascii"))
        assert lives(pid)
    async with asyncio.timeout(2):
        while lives(pid):  # killed, but not yet gone  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_flood_of_output(tmp_path: Path) -> None:
    """Long lines are cut, bytes of no text are shown as such, and what matters still comes."""
    port = free_port()
    (tmp_path / "app.py").write_text(
        "import sys\n"
        "sys.stdout.buffer.write(b'\\xff' * 10 + b'\\n' + b'x' * 300000 + b'\\n' + b'last')\n"
        "sys.stdout.flush()",
        encoding="utf-8",
    )
    async with running(tmp_path, "python app.py", port) as app:
        await app.said("last")
        lines = [line for each in app.seen if isinstance(each, AppOutput) for line in each.lines]
    assert lines[0] == "\ufffd" * 10
    assert max(map(len, lines)) <= 2000


SECRET = "correct-horse-battery-staple"


async def test_half_a_secret_is_not_told(tmp_path: Path) -> None:
    """A line that is cut is without secrets before, and its rest is not told as another line."""
    bus = Bus()
    said = (
        "x" * (LINE - 10) + SECRET + "\n" + "y" * (CHUNK - 10) + SECRET + "z" * CHUNK + "\nlast\n"
    )
    (tmp_path / "said.txt").write_text(said, encoding="utf-8")
    clean = Redactor([SECRET]).text
    app = App("cat said.txt", tmp_path, bus, backend=None, environ=os.environ, clean=clean)
    lines: list[str] = []
    with bus.reading() as events:
        task = asyncio.create_task(app.run())
        async with asyncio.timeout(10):
            async for event in events:
                if isinstance(event, AppOutput):
                    lines += event.lines
                if "last" in lines:
                    break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await app.end()

    assert [line[:1] for line in lines] == ["x", "y", "l"]
    assert not any(SECRET[:8] in line for line in lines)
    assert max(map(len, lines)) <= LINE


@pytest.mark.parametrize("apart", ["", "setsid "])
async def test_a_crash_that_leaves_somebody_behind(tmp_path: Path, apart: str) -> None:
    """The app has ended though what it started goes on, and holds its output open."""
    port = free_port()
    async with running(tmp_path, f"echo hi; {apart}sleep 30 & exit 3", port) as app:
        await app.said("hi")
        assert "exit code 3" in ((await app.state("crashed")).detail or "")
        await app.state("starting")


async def test_short_lines_do_not_flood(tmp_path: Path) -> None:
    """Nothing that is told at once takes long to look at, and the loop goes on."""
    port = free_port()
    async with running(tmp_path, "yes ''", port) as app:
        for _ in range(10):
            event = await app.until(lambda each: isinstance(each, AppOutput))
            assert isinstance(event, AppOutput)
            assert len(event.lines) <= CHUNK


async def test_somebody_else_on_the_port(tmp_path: Path) -> None:
    """Would be taken for the app: that is told, and the app waits for its port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (tmp_path / "app.py").write_text(SERVER.format(word="one", port=port), encoding="utf-8")
        async with running(tmp_path, "python app.py", port) as app:
            blocked = await app.state("blocked")
            told = await app.until(lambda each: isinstance(each, Notice))
            other.close()
            await app.state("ready")
            assert await app.answer() == b"one"
    assert blocked.detail is not None
    assert f"http://127.0.0.1:{port}" in blocked.detail
    assert isinstance(told, Notice)
    assert f"http://127.0.0.1:{port}" in told.message


def test_its_environment_has_no_secret() -> None:
    """Nothing of ours; and `python` is the user's, or ours where he has none."""
    given = environment({"UPM_DEV_JIRA_PASSWORD": "x", "HOME": "/h", "PATH": "/bin"})

    assert "UPM_DEV_JIRA_PASSWORD" not in given
    assert given["HOME"] == "/h"
    assert given["PATH"] == f"/bin{os.pathsep}{Path(sys.executable).parent}"


def test_pauses_grow() -> None:
    """To half a minute."""
    made = pauses()

    assert [next(made) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]

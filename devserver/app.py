"""The app as a child of ours: started, restarted when its sources change or it crashes, ended.

It has a process group of its own, so that everything it starts ends with it, and an environment
without our secrets. What it writes goes to the Bus, line by line.
"""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from devserver import redact
from devserver.backend import Backend
from devserver.credentials import for_child
from devserver.deadman import DeadMansSwitch
from devserver.events import AppChanged, AppOutput, AppState, Bus, Notice
from devserver.model import Severity
from devserver.watch import looks

SOURCES = frozenset(
    {
        ".cjs", ".css", ".cts", ".ejs", ".env", ".erb", ".go", ".hbs", ".htm", ".html", ".java",
        ".jinja", ".jinja2", ".js", ".jsx", ".kt", ".mjs", ".mts", ".mustache", ".php",
        ".properties", ".pug", ".py", ".rb", ".rs", ".scala", ".scss", ".sql", ".svelte", ".toml",
        ".ts", ".tsx", ".vue", ".yaml", ".yml",
    }
)  # fmt: skip
"""Files whose change restarts the app. Not what apps write themselves: logs, databases, JSON."""
NOT_SOURCES = frozenset(
    {"__pycache__", "build", "coverage", "dist", "node_modules", "out", "target", "venv"}
)
"""Folders that hold what was made from sources or by others; so do those with a leading dot."""
MOST_FOLDERS = 500
"""Folders that are watched for the app: more are a tree that is not one app's sources."""
TICK_SECONDS = 5.0
QUIET_SECONDS = 0.1
"""How long sources must be left alone before the app is started again: saves come in groups."""
STOP_SECONDS = 3.0
"""What the app may take to end before it is killed, when it is to be started again."""
EXIT_SECONDS = 0.4
"""The same when we end: our own exit has to be quick."""
LAST_WORDS_SECONDS = 0.3
"""How long output is read on once the app has ended."""
READY_STEP = 0.03
BLOCKED_STEP = 0.5
PATIENCE = 30.0
"""Seconds after which we say that the port of a started app still does not answer."""
STEADY = 10.0
"""An app that ran for so long and then crashed is started again at once."""
LINE = 2000
"""Characters of a line of output that are kept."""
CHUNK = 16 * 1024
BYTE_PACE, LINE_PACE = 3e-7, 2e-5
"""Seconds that we wait for each byte and line that came: an app that floods is slowed, not let to
flood us."""


_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
"""What moves a cursor or paints: a log, a page and a pipe can do neither."""


def pauses() -> Iterator[float]:
    """Seconds before each further start of an app that crashes: 0.5, 1, 2, ... 30."""
    pause = 0.5
    while True:
        yield pause
        pause = min(30.0, pause * 2)


class App:
    """Runs *command* in *root*.

    *others* gives the files that are not its sources; None: the app sees itself what changes.
    *clean* takes the secrets out of a line that is too long to be told whole.
    """

    def __init__(
        self,
        command: str,
        root: Path,
        bus: Bus,
        *,
        backend: Backend | None,
        environ: Mapping[str, str],
        others: Callable[[], frozenset[str]] | None = frozenset,
        clean: Callable[[str], str] = redact.text,
        poll: bool = False,
    ) -> None:
        self._command = command
        self._root = root
        self._bus = bus
        self._backend = backend
        self._environ = environment(environ)
        self._others = others
        self._clean = clean
        self._poll = poll
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._switch = DeadMansSwitch()
        self._folders: frozenset[Path] = frozenset()
        self._expect()

    def restart(self) -> None:
        """Start it anew: the user asks."""
        self._changed.set()

    async def run(self) -> None:
        """Keep it running, for ever; on cancellation it is left as it is, for `end`."""
        async with asyncio.TaskGroup() as tasks:
            if self._others is not None:
                tasks.create_task(self._watch(self._others), name="app sources")
            await self._keep_running()

    async def end(self) -> None:
        """End it, and everything that it started; to be called once `run` has ended.

        It serves until then: hosts tell it that it is uninstalled.
        """
        if self._backend is not None:
            self._backend.settled()
        try:
            if self._process is not None:
                await self._end(EXIT_SECONDS)
                self._tell(AppState.STOPPED)
        finally:
            self._switch.close()

    async def _keep_running(self) -> None:
        delays = pauses()
        while True:
            await self._until_free()
            self._changed.clear()
            started = time.monotonic()
            try:
                process = await self._start()
            except OSError as exc:  # its folder is gone, or no further process is to be had
                await self._after_crash(f"cannot be started ({exc.strerror})", next(delays))
                continue
            async with asyncio.TaskGroup() as tasks:
                ready = tasks.create_task(self._await_ready(process))
                ended = await self._until_ended_or_changed(process)
                ready.cancel()
            if not ended:
                self._expect()
                await self._end(STOP_SECONDS)
                delays = pauses()
                continue
            await self._end(0.0)  # what it started and left behind
            if time.monotonic() - started > STEADY:
                delays = pauses()
            code = process.returncode or 0
            how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            await self._after_crash(how, next(delays))

    async def _start(self) -> asyncio.subprocess.Process:
        self._expect()
        self._tell(AppState.STARTING)
        # A pipe of our own: with asyncio's a process has not ended before whoever it left its
        # output to has, too (a server in the background, a daemon).
        ours, theirs = os.pipe()
        self._reading = asyncio.create_task(self._read(os.fdopen(ours, "rb")), name="app output")
        try:
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_shell(
                    self._command,
                    cwd=self._root,
                    env=self._environ,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=theirs,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                )
            )
            try:
                self._process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._process = await starting  # it is there by now: somebody has to end it
                raise
        finally:
            os.close(theirs)
        self._switch.watch(self._process.pid)
        return self._process

    async def _until_ended_or_changed(self, process: asyncio.subprocess.Process) -> bool:
        """Whether it ended by itself; False: its sources changed, or the user asked."""
        ended = asyncio.create_task(process.wait())
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait((ended, changed), return_when=asyncio.FIRST_COMPLETED)
            return not changed.done()
        finally:
            ended.cancel()
            changed.cancel()
            await asyncio.gather(ended, changed, return_exceptions=True)

    async def _after_crash(self, how: str, pause: float) -> None:
        if self._backend is not None:
            self._backend.settled()  # requests need not wait for what does not come
        self._tell(AppState.CRASHED, f"{how}; starts again in {pause:g} s, or on a change")
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._changed.wait()

    async def _end(self, patience: float) -> None:
        """End the whole group: asked first, killed after *patience* seconds."""
        process = self._process
        if process is None:
            return
        try:
            _signal_group(process.pid, signal.SIGTERM)
            end = time.monotonic() + patience
            while _group_lives(process.pid) and time.monotonic() < end:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            self._switch.watch(None)
        await process.wait()
        self._process = None
        if self._reading is not None:
            # What left the group may hold its output open for ever.
            await asyncio.wait((self._reading,), timeout=LAST_WORDS_SECONDS)
            self._reading.cancel()

    # -- ready ------------------------------------------------------------------------------------

    def _expect(self) -> None:
        if self._backend is not None:
            self._backend.starting()

    async def _await_ready(self, process: asyncio.subprocess.Process) -> None:
        if self._backend is None:
            self._tell(AppState.RUNNING)
            return
        started, told = time.monotonic(), False
        while not await answers(self._backend.url):
            if not told and time.monotonic() - started > PATIENCE:
                told = True
                self._backend.settled()
                self._warn(
                    f"the app runs for {PATIENCE:g} s and nothing answers at {self._backend.url}",
                    "let it listen there, or correct [app] backend",
                )
            await asyncio.sleep(READY_STEP)
        if process.returncode is None:
            self._backend.settled()
            self._tell(AppState.READY)

    async def _until_free(self) -> None:
        """Wait while somebody else answers at the app's port, who would be taken for the app."""
        if self._backend is None or not await answers(self._backend.url):
            return
        where = self._backend.url
        self._backend.settled()  # whoever it is has the requests: it may be the user's own app
        self._tell(AppState.BLOCKED, f"something else answers at {where}; starts once it is gone")
        self._warn(
            f"something else answers at {where} already, so the app is not started",
            "stop it, or give the app and [app] backend another port",
        )
        while await answers(where):  # noqa: ASYNC110 - nobody tells when it goes
            await asyncio.sleep(BLOCKED_STEP)

    # -- output and sources -----------------------------------------------------------------------

    async def _read(self, pipe: BinaryIO) -> None:
        """Tell what comes out of *pipe*, until nobody can write into it any more; closes it."""
        output = asyncio.StreamReader(limit=CHUNK)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), pipe
        )
        rest, told = b"", False
        try:
            while piece := await output.read(CHUNK):
                *lines, rest = (rest + piece).split(b"\n")
                if lines and told:  # the end of a line whose beginning was enough
                    lines, told = lines[1:], False
                if len(rest) > CHUNK:
                    lines, told, rest = [*lines, *([] if told else [rest])], True, b""
                self._say(lines)
                await asyncio.sleep(len(piece) * BYTE_PACE + len(lines) * LINE_PACE)
            if rest and not told:
                self._say([rest])
        finally:
            transport.close()

    def _say(self, lines: list[bytes]) -> None:
        if lines:
            said = (_COLOURS.sub("", each.decode("utf-8", "replace")) for each in lines)
            shown = (each if len(each) <= LINE else self._clean(each)[:LINE] for each in said)
            self._bus.publish(AppOutput(lines=tuple(each.rstrip("\r") for each in shown)))

    async def _watch(self, others: Callable[[], frozenset[str]]) -> None:
        """Note when the app's sources are other than they were."""
        seen = self._sources(others())
        async for _ in looks(lambda: self._folders, poll=self._poll, tick=TICK_SECONDS):
            try:
                now = self._sources(others())
                if now == seen:
                    continue
                while now != seen:  # until they are left alone
                    await asyncio.sleep(QUIET_SECONDS)
                    seen, now = now, self._sources(others())
            except OSError:  # no further file can be opened: nothing is known to have changed
                continue
            self._changed.set()

    def _sources(self, others: frozenset[str]) -> dict[str, tuple[int, int, int]]:
        """What tells each source's content from another; notes the folders to watch."""
        folders: list[Path] = []
        found: dict[str, tuple[int, int, int]] = {}
        waiting = [self._root]
        while waiting and len(folders) < MOST_FOLDERS:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            folders.append(folder)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in NOT_SOURCES and not entry.name.startswith("."):
                        waiting.append(Path(entry.path))
                    continue
                name = Path(entry.path).relative_to(self._root).as_posix()
                if Path(entry.name).suffix not in SOURCES and entry.name != ".env":
                    continue
                if name in others or entry.name.startswith(".#"):
                    continue
                with suppress(OSError):  # gone since it was listed
                    stat = entry.stat()
                    found[name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        self._folders = frozenset(folders)
        return found

    def _tell(self, state: AppState, detail: str | None = None) -> None:
        self._bus.publish(AppChanged(state=state.value, detail=detail))

    def _warn(self, message: str, remedy: str) -> None:
        self._bus.publish(Notice(severity=Severity.WARNING, message=message, remedy=remedy))


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the app is given: the user's own environment without secrets of ours.

    `python` is the user's, as in his terminal; ours, which lacks what his app needs, only where he
    has none. Output to a pipe comes in blocks unless the app is told otherwise; Python can be.
    """
    given = for_child(environ)
    ours = str(Path(sys.executable).parent)
    path = given.get("PATH", os.defpath)
    return {"PYTHONUNBUFFERED": "1", **given, "PATH": f"{path}{os.pathsep}{ours}"}


async def answers(url: str) -> bool:
    """Whether somebody accepts connections there."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(parts.hostname or "localhost", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

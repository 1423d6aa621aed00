"""Real `upm-dev` processes for tests, their events read as they come."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of ours, but for *more*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UPM_DEV_")}
    # As in a terminal where the environment of these tests is active: apps need its packages.
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    # Of one that has to be ended by SIGABRT it is told where it stood.
    return {**kept, "PATH": path, "NO_COLOR": "1", "PYTHONFAULTHANDLER": "1", **more}


class Process:
    """`upm-dev COMMAND --json ...`: waits for events instead of for the clock."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[Json] = []
        self.errors = ""
        self._cursor = 0
        self._fresh = asyncio.Condition()
        self._ended = False
        self._errors_read = False

    async def follow(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._fresh:
                self.events.append(json.loads(line))
                self._fresh.notify_all()
        async with self._fresh:
            self._ended = True
            self._fresh.notify_all()

    async def keep_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = (await self.process.stderr.read()).decode()
        async with self._fresh:
            self._errors_read = True
            self._fresh.notify_all()

    async def seen(self, kind: str, *, within: float = 10, **wanted: object) -> Json:
        """The next event of that type with those fields; what comes before it is passed over."""
        try:
            async with asyncio.timeout(within), self._fresh:
                while True:
                    while self._cursor < len(self.events):
                        event = self.events[self._cursor]
                        self._cursor += 1
                        if event["type"] == kind and wanted.items() <= event.items():
                            return event
                    if self._ended:
                        break
                    await self._fresh.wait()
        except TimeoutError:
            pass
        raise AssertionError(f"no {kind} {wanted} within {within} s; events: {self._told()}")

    def of(self, kind: str, **wanted: object) -> list[Json]:
        """Every event so far of that type with those fields."""
        return [
            event
            for event in self.events
            if event["type"] == kind and wanted.items() <= event.items()
        ]

    async def stop(self, signum: signal.Signals = signal.SIGINT, *, within: float = 10) -> int:
        """Send the signal and give the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signum)
        try:
            async with asyncio.timeout(within):
                return await self.process.wait()
        except TimeoutError:
            await self.abort()
        raise AssertionError(f"still there {within} s after {signum.name}: {self._told()}")

    async def abort(self) -> None:
        """End one that does not end; it says on stderr where each of its threads stood."""
        self.process.send_signal(signal.SIGABRT)
        try:
            async with asyncio.timeout(5):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        async with self._fresh:
            await self._fresh.wait_for(lambda: self._ended and self._errors_read)

    async def ended(self, *, within: float = 10) -> int:
        """The exit code of a process that ends by itself, with everything it said read."""
        async with asyncio.timeout(within), self._fresh:
            await self._fresh.wait_for(lambda: self._ended)
        async with asyncio.timeout(within):
            return await self.process.wait()

    def _told(self) -> str:
        return "\n".join(json.dumps(event)[:300] for event in self.events[-20:]) + self.errors


@asynccontextmanager
async def upm_dev(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    files: int | None = None,
    inside: Sequence[str] = (),
) -> AsyncIterator[Process]:
    """Run `upm-dev ARGUMENTS` while the block runs; stopped at its end if it still does.

    It may have no more than *files* files open. *inside* is a command that becomes the one behind
    it.
    """

    def narrow() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    process = await asyncio.create_subprocess_exec(
        *(*inside, sys.executable, "-m", "devserver"),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=dict(env) if env is not None else environment(),
        limit=16 * 1024 * 1024,
        preexec_fn=narrow,
    )
    running = Process(process)
    # No TaskGroup: it would wrap what a test asserts into a group.
    reading = [asyncio.create_task(each) for each in (running.follow(), running.keep_errors())]
    try:
        yield running
    finally:
        if process.returncode is None:
            await running.stop(within=5)
        await asyncio.gather(*reading)

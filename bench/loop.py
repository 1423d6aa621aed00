"""The loop: from a save to the install request and to the proof, from the start, at rest.

The host runs in this process, the tool in another; both read the same clock. The host installs at
once and says `pingAfter` 100.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bench import peer
from bench.figures import Figure, median, ratio
from bench.peer import posts
from bench.processes import cpu_seconds, resident_mib
from devserver.simulator import simulated_host

RUNS = 30
STARTS = 30
IDLE_SECONDS = 10.0
SAMPLE = Path(__file__).parents[1] / "sample-plugin"
TEMPLATE = "atlassian-plugin.xml.j2"

Save = tuple[float, float]
"""Milliseconds from a save to the install POST, and to the end of the installation."""


class Tool:
    """A running `upm-dev serve --json`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdout is not None
        self._lines = process.stdout

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(20):
            async for line in self._lines:
                event: dict[str, Any] = json.loads(line)
                if wanted(event):
                    return event
        raise RuntimeError("serve ended before the event came")

    async def confirmed(self, revision: str | None = None) -> None:
        await self.until(
            lambda event: (
                event["type"] == "target"
                and event["state"] == "confirmed"
                and revision in (None, event["revision"])
            )
        )


@asynccontextmanager
async def serving(project: Path, *arguments: str) -> AsyncIterator[Tool]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devserver", "serve", str(project), "--json", "--port", "0",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "XDG_STATE_HOME": str(project.parent / "state"),
        },
        limit=1 << 24,
    )  # fmt: skip
    try:
        yield Tool(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


@asynccontextmanager
async def project() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "app"
        shutil.copytree(SAMPLE, copy)
        yield copy


async def figures() -> list[Figure]:
    ours, theirs = await edits()
    to_post, to_proof = zip(*ours, strict=True)
    first, theirs_first = await starts()
    found = [
        median("save -> install POST", to_post, "ms"),
        median("save -> confirmed", to_proof, "ms"),
        median("start -> first install POST", first, "ms"),
    ]
    if peer.is_installed():
        theirs_post, theirs_end = zip(*theirs, strict=True)
        found += [
            median("  peer: save -> install POST", theirs_post, "ms"),
            median("  peer: save -> installed", theirs_end, "ms"),
            median("  peer: start -> first install POST", theirs_first, "ms"),
            ratio("save -> install POST, of the peer's", to_post, theirs_post, 2.0),
            ratio("save -> confirmed, of the peer's", to_proof, theirs_end, 0.4),
            ratio("start -> first install POST, of the peer's", first, theirs_first, 1.0),
        ]
    else:
        found.append(Figure(name="no peer: run .ci/clients for the ratios", value=0, unit=""))
    return [*found, *await rest()]


async def edits() -> tuple[list[Save], list[Save]]:
    """What each save took: ours, the peer's.

    In turn, so that what slows the machine down for a while slows both.
    """
    ours, theirs = [], []
    async with AsyncExitStack() as stack:
        save = await stack.enter_async_context(saving())
        their_save = None
        if peer.is_installed():
            their_save = await stack.enter_async_context(peer.saving())
        for run in range(RUNS):
            ours.append(await save(run))
            if their_save:
                theirs.append(await their_save(run))
    return ours, theirs


@asynccontextmanager
async def saving() -> AsyncIterator[Callable[[int], Awaitable[Save]]]:
    """A running `serve`; yields what saves once and gives the milliseconds.

    From the save to the install POST, and to the proof.
    """
    async with simulated_host(port=0, install_time=0.0) as host, project() as app:
        template = app / TEMPLATE
        text = template.read_text(encoding="utf-8")
        async with serving(app, "--target", host.url) as tool:
            await tool.confirmed()

            async def save(run: int) -> Save:
                await asyncio.sleep(0.1 + run * 0.0013)
                known = len(posts(host))
                saved = time.time()
                template.write_text(edited(text, run), encoding="utf-8")
                await tool.confirmed(f"r{run + 2}")
                confirmed = time.time()
                assert len(posts(host)) == known + 1, "one save, two registrations"
                return (posts(host)[known] - saved) * 1000, (confirmed - saved) * 1000

            yield save


def edited(text: str, run: int) -> str:
    """The sample with one attribute changed."""
    return text.replace('name="Greet"', f'name="Greet {run}"')


async def starts() -> tuple[list[float], list[float]]:
    """Milliseconds from the start of the process to the first install POST: ours, the peer's.

    In turn, so that what slows the machine down for a while slows both.
    """
    ours, theirs = [], []
    async with project() as app:
        for _ in range(STARTS):
            ours.append(await start(app))
            if peer.is_installed():
                theirs.append(await peer.start())
    return ours, theirs


async def start(app: Path) -> float:
    async with simulated_host(port=0, install_time=0.0) as host:
        await host.public_key()
        started = time.time()
        async with serving(app, "--target", host.url) as tool:
            await tool.confirmed()
            return (posts(host)[0] - started) * 1000


async def rest() -> list[Figure]:
    """The sample after 100 edits, the simulator in the same process."""
    async with project() as app, serving(app) as tool:
        template = app / TEMPLATE
        text = template.read_text(encoding="utf-8")
        await tool.confirmed()
        for run in range(100):
            template.write_text(edited(text, run), encoding="utf-8")
            await tool.confirmed(f"r{run + 2}")
        memory = resident_mib(tool.process.pid)
        before, since = cpu_seconds(tool.process.pid), time.monotonic()
        await asyncio.sleep(IDLE_SECONDS)
        used = cpu_seconds(tool.process.pid) - before
        share = used / (time.monotonic() - since) * 100
    return [
        Figure(name="resident after 100 edits", value=memory, unit="MiB", bar=80),
        Figure(name="idle", value=share, unit="% of a core", bar=1.2),
    ]

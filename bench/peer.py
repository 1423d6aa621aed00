"""The nearest peer, atlassian-connect-express 11.5.3, doing the same against the same host.

`.ci/clients` installs it; without it there are no ratios, which the table says.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from devserver.simulator import SimulatedHost, simulated_host

ROOT = Path(__file__).parents[1]
MODULES = ROOT / ".venv" / "clients" / "ace" / "node_modules"
APP = ROOT / "tests" / "simulator" / "clients" / "app.js"


def is_installed() -> bool:
    return MODULES.is_dir() and shutil.which("node") is not None


def descriptor(name: str) -> str:
    return json.dumps(
        {
            "key": "org.example.peer",
            "name": name,
            "baseUrl": "{{localBaseUrl}}",
            "authentication": {"type": "jwt"},
            "lifecycle": {"installed": "/installed"},
            "apiMigrations": {"signed-install": True},
            "modules": {"generalPages": [{"key": "p", "name": {"value": name}, "url": "/hello"}]},
        }
    )


@asynccontextmanager
async def peer(host: SimulatedHost, folder: Path) -> AsyncIterator[float]:
    """Run the peer's app; yields the wall clock's time of its start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    development = {
        "port": port,
        "localBaseUrl": f"http://localhost:{port}",
        "store": {"adapter": "mem"},
        "hosts": [host.url.replace("://", "://admin:admin@")],
    }
    (folder / "config.json").write_text(
        json.dumps({"product": "jira", "development": development}), encoding="utf-8"
    )
    (folder / "atlassian-connect.json").write_text(descriptor("Hello"), encoding="utf-8")
    shutil.copy(APP, folder / "app.js")
    (folder / "node_modules").symlink_to(MODULES)
    environment = {
        **os.environ,
        "NODE_ENV": "development",
        "CONNECT_KEYS_CDN_URL": f"{host.origin}/keys",
    }
    started = time.time()
    process = await asyncio.create_subprocess_exec(
        "node", "app.js", cwd=folder, env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield started
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def posts(host: SimulatedHost) -> list[float]:
    return [each.time for each in host.journal if each.stage == "install"]


def ends(host: SimulatedHost) -> list[float]:
    """When the peer had followed an installation to its end: the plugin it was led to."""
    return [
        each.time
        for each in host.journal
        if each.method == "GET" and each.path.partition("?")[0].endswith("-key")
    ]


async def until(
    times: Callable[[SimulatedHost], list[float]], host: SimulatedHost, known: int
) -> None:
    """Wait until there are more of *times* than were known."""
    await host.wait(lambda: len(times(host)) > known, within=20)


@asynccontextmanager
async def saving() -> AsyncIterator[Callable[[int], Awaitable[tuple[float, float]]]]:
    """A running app of the peer; yields what saves once and gives the milliseconds.

    From the save to the install POST, and to the end of the installation.
    """
    async with simulated_host(port=0, profile="connect", install_time=0.0) as host:
        await host.public_key()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)

            async def save(run: int) -> tuple[float, float]:
                known, done = len(posts(host)), len(ends(host))
                saved = time.time()
                (folder / "atlassian-connect.json").write_text(
                    descriptor(f"Hello {run}"), encoding="utf-8"
                )
                await until(ends, host, done)
                took = (posts(host)[known] - saved) * 1000, (ends(host)[done] - saved) * 1000
                await asyncio.sleep(0.4)  # it installs twice for one save: let both end
                return took

            async with peer(host, folder):
                await until(ends, host, 0)
                await asyncio.sleep(0.4)
                yield save


async def start() -> float:
    """Milliseconds from the start of the process to the first install POST."""
    async with simulated_host(port=0, profile="connect", install_time=0.0) as host:
        await host.public_key()
        with tempfile.TemporaryDirectory() as name:
            async with peer(host, Path(name)) as started:
                await until(posts, host, 0)
                return (posts(host)[0] - started) * 1000

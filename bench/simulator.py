"""The simulated host under load: installs by 50 clients at once, a long listing, its start.

The host runs in a process of its own; the clients and the apps that it calls are here.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from aiohttp import web

from bench.figures import Figure, median

CLIENTS = 50
SECONDS = float(os.environ.get("UPM_DEV_BENCH_SECONDS", "60"))
"""How long the load lasts."""
LISTED = 10_000
STARTS = 10
API = "/rest/plugins/1.0/"
KIND = "application/vnd.atl.plugins.install.uri+json"

DESCRIPTOR = """<atlassian-plugin key="{key}" name="{key}" plugins-version="2">
<plugin-info><version>1</version><vendor name="v" url="http://v"/></plugin-info>
<remote-plugin-container key="c" display-url="http://127.0.0.1:{port}"/>
<webhook key="i" event="remote_plugin_installed" url="/called/{key}"/>
</atlassian-plugin>"""


async def figures() -> list[Figure]:
    starts = [await _start() for _ in range(STARTS)]
    return [
        median("simulator: start to banner", starts, "ms", bar=500),
        *await _load(),
        await _listing(),
    ]


@asynccontextmanager
async def _simulator(*options: str) -> AsyncIterator[str]:
    """The command in a process of its own; its base URL once the banner is there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devserver", "simulator", "--port", "0", *options,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout
    url = ""
    try:
        async for line in process.stdout:
            if line.strip().startswith(b"base URL"):
                url = line.split()[-1].decode()
            if b"token=$T" in line:
                break
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _start() -> float:
    began = time.perf_counter()
    async with _simulator():
        return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def _apps(called: set[str]) -> AsyncIterator[int]:
    """Serves a descriptor for any key, and notes which keys were called back; its port."""
    port = 0

    async def answer(request: web.Request) -> web.Response:
        key = request.path.rpartition("/")[2]
        if request.method == "POST":
            called.add(key)
            return web.Response(status=204)
        text = DESCRIPTOR.format(key=key.removesuffix(".xml"), port=port)
        return web.Response(text=text, content_type="application/xml")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=256).start()
    port = runner.addresses[0][1]
    yield port
    await runner.cleanup()


async def _load() -> list[Figure]:
    """Each client installs app after app, polling as clients do."""
    called: set[str] = set()
    names = [f"admin{number}" for number in range(CLIENTS)]
    options = [part for name in names for part in ("--add-user", name)]
    done: list[float] = []
    lost: list[str] = []
    async with _simulator(*options) as url, _apps(called) as port:
        end = time.perf_counter() + SECONDS

        async def client(name: str) -> None:
            headers = {"Authorization": aiohttp.encode_basic_auth(name, name)}
            async with aiohttp.ClientSession(headers=headers) as session:
                count = 0
                while time.perf_counter() < end:
                    count += 1
                    key = f"{name}.app{count}"
                    began = time.perf_counter()
                    if await _install(session, url, f"http://127.0.0.1:{port}/{key}.xml", key):
                        done.append((time.perf_counter() - began) * 1000)
                    else:
                        lost.append(key)

        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(client(name))
        await asyncio.sleep(0.5)  # the last callbacks are on their way
    each = SECONDS * 1000 / max(1, len(done))
    return [
        Figure(
            name=f"simulator: one install of {CLIENTS} clients' ({1000 / each:.0f} a second)",
            value=each,
            unit="ms",
            spread=f"{len(done)} in {SECONDS:.0f} s",
            bar=20,
        ),
        median("simulator: token to plugin, one client of them", done, "ms"),
        Figure(name="simulator: lost tasks", value=len(lost), unit="", bar=0),
        Figure(name="simulator: lost callbacks", value=len(done) - len(called), unit="", bar=0),
    ]


async def _install(session: aiohttp.ClientSession, url: str, uri: str, key: str) -> bool:
    """Whether the installation ended in the plugin."""
    async with session.head(url + API) as response:
        token = response.headers["upm-token"]
    async with session.post(
        url + API,
        params={"token": token},
        json={"pluginUri": uri},
        headers={"Content-Type": KIND},
    ) as response:
        if response.status != 202:
            return False
        location = response.headers["Location"]
    async with asyncio.timeout(30):
        while True:
            async with session.get(location) as response:
                if response.status != 200:
                    return False
                body = await response.json(content_type=None)
                if "key" in body:
                    return bool(body["key"] == key)
                if body["status"]["done"]:
                    return False
            await asyncio.sleep(0.1)


async def _listing() -> Figure:
    """The collection with 10,000 plugins, as the first and as every further client gets it."""
    from devserver.simulator import simulated_host
    from devserver.simulator.app import App, Kind

    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(simulated_host(port=0))
        for number in range(LISTED):
            app = App(kind=Kind.XML, key=f"app.{number}", name=f"App {number}", version="1")
            host.state.install(app, user="admin", now=0)
        headers = {"Authorization": aiohttp.encode_basic_auth("admin", "admin")}
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        taken = []
        for _ in range(STARTS):
            began = time.perf_counter()
            async with session.get(host.url + API) as response:
                await response.read()
            taken.append((time.perf_counter() - began) * 1000)
    return median(f"simulator: {LISTED} plugins listed", taken, "ms", bar=200)

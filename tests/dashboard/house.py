"""A whole `upm-dev serve` with an app behind it, and what a page of its dashboard holds."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from ports import free_port
from processes import Process, environment, upm_dev
from projects import Project

from devserver.simulator import SimulatedHost, simulated_host
from devserver.simulator.users import DEFAULT_USERS, User

APP = """\
import os
from aiohttp import web
async def page(request):
    return web.Response(text="<!doctype html><title>app</title><h1>PAGE</h1>" + MORE,
                        content_type="text/html")
async def posted(request):
    body = await request.read()
    return web.Response(status=int(request.query.get("status", "200")), text="app took it")
MORE = os.environ.get("MORE", "")
app = web.Application()
app.add_routes([web.get("/hello", page), web.get("/icon", page), web.post("/{p:.*}", posted)])
web.run_app(app, host="127.0.0.1", port=PORT, print=None)
"""


@dataclass
class House:
    project: Project
    process: Process
    host: SimulatedHost
    public: str
    dashboard: str

    async def token(self, client: aiohttp.ClientSession) -> str:
        async with client.get(f"{self.dashboard}/") as answer:
            found = re.search(r'name="token" value="([^"]+)"', await answer.text())
        assert found is not None
        return found[1]


Before = Callable[[Project, SimulatedHost], Awaitable[None]]


@asynccontextmanager
async def house(
    root: Path,
    *arguments: str,
    app: str = APP,
    state: str = "confirmed",
    before: "Before | None" = None,
    env: Mapping[str, str] | None = None,
    users: Iterable[User] = DEFAULT_USERS,
) -> AsyncIterator[House]:
    """Serve until r1 is in *state*; *before* has the project and the host as they are then."""
    project = Project(root / "hello")
    port = free_port()
    (project.root / "app.py").write_text(app.replace("PORT", str(port)), encoding="utf-8")
    settings = project.settings.read_text(encoding="utf-8")
    command = f'backend = "http://127.0.0.1:{port}"\ncommand = "python app.py"\n'
    project.settings.write_text(settings.replace("[app]\n", "[app]\n" + command), encoding="utf-8")
    async with simulated_host(port=0, install_time=0, users=users) as host:
        given = ("--target", host.url, "--trust", "--json", "--port", "0", *arguments)
        if before is not None:
            await before(project, host)
        async with upm_dev(
            "serve", project.root, *given, env=environment(**(env or {}))
        ) as process:
            urls = (await process.seen("started"))["urls"]
            await process.seen("target", state=state, revision="r1", within=20)
            public = urls["descriptor"].rpartition("/")[0]
            yield House(project, process, host, public, urls["dashboard"])

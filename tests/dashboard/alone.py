"""The dashboard's server without a loop behind it: what it shows is what a test publishes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from devserver.callbacks.record import Record
from devserver.commands import Command
from devserver.events import Bus
from devserver.publish import Published
from devserver.redact import Redactor
from devserver.traffic import Traffic
from devserver.web.dashboard.desk import Desk
from devserver.web.dashboard.server import LIVE, Door, dashboard_app
from devserver.web.listen import open_sockets, serving


@dataclass
class Dashboard:
    url: str
    app: web.Application
    bus: Bus
    asked: list[Command]
    published: Published
    record: Record
    traffic: Traffic
    broken: bool = False

    def sources(self) -> Mapping[str, str]:
        if self.broken:
            raise RuntimeError("on purpose")
        return {}

    async def let_go(self) -> None:
        """Wait until no page is held."""
        async with asyncio.timeout(5):
            while self.app[LIVE]:  # noqa: ASYNC110 - a set tells nobody
                await asyncio.sleep(0.01)


@asynccontextmanager
async def dashboard() -> AsyncIterator[Dashboard]:
    bus, asked = Bus(), list[Command]()
    made = Dashboard("", web.Application(), bus, asked, Published(), Record(), Traffic())
    desk = Desk(
        bus=bus,
        published=made.published,
        traffic=made.traffic,
        record=made.record,
        redactor=Redactor(),
        root=Path("/nowhere"),
        do=asked.append,
        sources=lambda: made.sources(),
        command="python app.py",
    )
    made.app = dashboard_app(Door(desk, "token", "start"))
    async with serving(made.app, open_sockets(None, 0)) as port:
        made.url = f"http://localhost:{port}"
        yield made

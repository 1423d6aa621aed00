"""A remote app that records what a host tells it, hosts, and their users."""

import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import web
from simulator.people import App, Client, Received

from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
async def app() -> AsyncIterator[App]:
    """A running app; serves a remote XML descriptor unless told otherwise."""
    app = App()

    async def answer(request: web.Request) -> web.Response:
        raw = await request.read()
        seen = Received(
            request.method,
            str(request.rel_url),
            dict(request.headers),
            json.loads(raw) if raw else None,
        )
        if request.method == "POST":
            app.received.append(seen)
            return web.Response(status=app.callback_status)
        app.fetched.append(seen)
        return web.Response(
            body=app.body,
            status=app.status,
            headers={"Content-Type": app.media_type, **app.headers},
        )

    server = web.Application()
    server.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    app.url = f"http://localhost:{runner.addresses[0][1]}"
    app.serve_xml()
    yield app
    await runner.cleanup()


class Start(Protocol):
    def __call__(self, **options: Any) -> Awaitable[SimulatedHost]: ...


class LogIn(Protocol):
    def __call__(self, host: SimulatedHost, user: str = "admin") -> Awaitable[Client]: ...


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start hosts; an installation takes no time unless asked to."""
    async with AsyncExitStack() as stack:

        async def begin(**options: Any) -> SimulatedHost:
            return await stack.enter_async_context(
                simulated_host(**{"port": 0, "install_time": 0, **options})
            )

        yield begin


@asynccontextmanager
async def _client(host: SimulatedHost, user: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Client(host, session, user)


@pytest.fixture
async def log_in() -> AsyncIterator[LogIn]:
    """A client of a host for a user; "" is nobody."""
    async with AsyncExitStack() as stack:

        async def enter(host: SimulatedHost, user: str = "admin") -> Client:
            return await stack.enter_async_context(_client(host, user))

        yield enter


@pytest.fixture
async def host(start: Start) -> SimulatedHost:
    return await start()


@pytest.fixture
async def admin(host: SimulatedHost, log_in: LogIn) -> Client:
    return await log_in(host)

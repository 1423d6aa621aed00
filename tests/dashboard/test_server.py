"""The dashboard's server by itself: pages that cannot be drawn, and those that nobody reads."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from dashboard.alone import dashboard
from yarl import URL

from devserver.events import AppOutput
from devserver.redact import Redactor
from devserver.traffic import Message
from devserver.web.dashboard import server
from devserver.web.dashboard.inspector import body_text
from devserver.web.dashboard.server import LIVE


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_trouble_of_ours_carries_the_policy_too(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """500 is a page like others: nothing on it runs, and nobody may frame it."""
    async with dashboard() as home:
        home.broken = True
        async with client.get(home.url) as answer:
            assert answer.status == 500
            assert "on purpose" not in await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "on purpose" in caplog.text


async def test_a_page_that_cannot_be_drawn_any_more_is_let_go(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not stand there as if it were so."""
    async with dashboard() as home:
        async with client.ws_connect(f"{home.url}/live", origin=home.url) as page:
            assert "panels" in await page.receive_json()
            home.broken = True
            home.bus.publish(AppOutput(lines=("news",)))
            async with asyncio.timeout(5):
                assert (await page.receive()).type is aiohttp.WSMsgType.CLOSED
        await home.let_go()
    assert "on purpose" in caplog.text


async def test_a_page_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tab that is frozen, or hostile, holds no news of ours."""
    monkeypatch.setattr(server, "SLOW", 0.2)
    async with dashboard() as home:
        url = URL(home.url)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /live?view=app HTTP/1.1\r\nHost: localhost:{url.port}\r\nOrigin: {home.url}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        with socket.socket() as page:
            page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            page.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(page, ("127.0.0.1", url.port))
            await loop.sock_sendall(page, head.encode())
            assert await loop.sock_recv(page, 12) == b"HTTP/1.1 101"
            async with asyncio.timeout(20):
                while home.app[LIVE]:
                    lines = tuple(os.urandom(900).hex() for _ in range(300))
                    home.bus.publish(AppOutput(lines=lines))
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("item", ["c9999999999999999999", "x9999999999999999999", "c", "z1"])
async def test_an_item_that_nobody_has(client: aiohttp.ClientSession, item: str) -> None:
    """Is not kept any more, however many digits it has."""
    async with dashboard() as home:
        async with client.get(f"{home.url}/?view=traffic&item={item}") as answer:
            assert answer.status == 200
            assert "not kept any more" in await answer.text()
        async with client.get(f"{home.url}/traffic.har?item={item}") as answer:
            assert (await answer.json())["log"]["entries"] == []


@pytest.mark.parametrize(
    ("body", "cut", "says"),
    [
        (b'{"key": "\\ud800"}', False, '{\n  "key": "?"\n}'),
        (b'{"a": "b", "sharedSecret": "hunter', True, '{"a": "b", "sharedSecret": '),
    ],
)
def test_bodies_that_are_not_whole(body: bytes, cut: bool, says: str) -> None:
    """Half a character can be written nowhere; half a secret is known by nothing."""
    message = Message((), body, len(body) + cut)

    assert body_text(message, Redactor()) == says

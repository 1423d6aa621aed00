"""The dashboard's server by itself: pages that cannot be drawn, and those that nobody reads."""

import asyncio
import base64
import json
import os
import shlex
import socket
from collections.abc import AsyncIterator
from html import unescape

import aiohttp
import pytest
from dashboard.alone import dashboard
from yarl import URL

from devserver.callbacks.call import Finding
from devserver.callbacks.record import Recorded
from devserver.events import AppOutput, Started
from devserver.model import Verdict
from devserver.redact import Redactor
from devserver.traffic import Exchange, Message, Way
from devserver.web.dashboard import server
from devserver.web.dashboard.inspector import BODY_SHOWN, body_text
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
        ("é".encode()[:1], True, ""),
        (b"\xff\x00", True, "3 bytes of binary data, beginning ff 00"),
    ],
)
def test_bodies_that_are_not_whole(body: bytes, cut: bool, says: str) -> None:
    """Half a character can be written nowhere; half a secret is known by nothing."""
    message = Message((), body, len(body) + cut)

    assert body_text(message, Redactor()) == says


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", ['{"password": "hunter2"}, ', "- ", "-", '["'])
async def test_a_large_body_is_no_work(client: aiohttp.ClientSession, piece: str) -> None:
    """Anybody can send one, and it is drawn again with whatever happens meanwhile."""
    body = (piece * (9_000_000 // len(piece)) + "token").encode()
    finding = Finding(verdict=Verdict.FORGED, event="installed")
    async with dashboard() as home:
        home.record.add(
            Recorded(
                finding=finding, method="POST", path="/i", headers=(), body=body, status=401, ms=1
            )
        )
        async with client.get(f"{home.url}/?view=traffic&item=c1") as answer:
            assert "hunter2" not in await answer.text()
        async with client.get(f"{home.url}/traffic.har") as answer:
            [entry] = (await answer.json())["log"]["entries"]
        assert 0 < len(entry["request"]["postData"]["text"]) <= BODY_SHOWN
        assert entry["request"]["bodySize"] == len(body)


async def test_a_large_document_is_cut_before_it_is_read(client: aiohttp.ClientSession) -> None:
    """Its beginning stands there as it came: in lines it would have been read to its end."""
    document = json.dumps([{"a": number} for number in range(100_000)]).encode()
    finding = Finding(verdict=Verdict.FORGED, event="installed")
    async with dashboard() as home:
        home.record.add(
            Recorded(
                finding=finding,
                method="POST",
                path="/i",
                headers=(),
                body=document,
                status=401,
                ms=1,
            )
        )
        async with client.get(f"{home.url}/traffic.har") as answer:
            [entry] = (await answer.json())["log"]["entries"]
    shown = entry["request"]["postData"]["text"]
    assert BODY_SHOWN - 20 < len(shown) <= BODY_SHOWN
    assert document.startswith(shown.encode())


@pytest.mark.parametrize(
    ("way", "url", "brief", "whole"),
    [
        (Way.TO_US, "/hello?back=http://x/y", "/hello?back=http://x/y", "OURS/hello?back=http://x/y"),
        (Way.TO_US, "//[evil/?a=://x", "//[evil/?a=://x", "OURS//[evil/?a=://x"),
        (Way.TO_US, "//evil/?x=://localhost/hello", "//evil/?x=://localhost/hello",
         "OURS//evil/?x=://localhost/hello"),
        (Way.TO_TARGET, "http://h:2990/jira/rest?q=a#b", "/jira/rest?q=a#b",
         "http://h:2990/jira/rest?q=a#b"),
    ],
)  # fmt: skip
async def test_addresses_that_were_asked(
    client: aiohttp.ClientSession, way: Way, url: str, brief: str, whole: str
) -> None:
    """Listed as they came, and whole where they leave: nobody's query makes another of them."""
    ours = "http://localhost:8000"
    async with dashboard() as home:
        urls = {"descriptor": f"{ours}/atlassian-plugin.xml"}
        home.bus.publish(Started(urls=urls, targets={}, ready_ms=1, watcher="inotify"))
        home.traffic.add(
            Exchange(
                way=way,
                method="GET",
                url=url,
                request=Message(),
                status=200,
                response=Message(),
                ms=1,
            )
        )
        async with client.get(f"{home.url}/?view=traffic&item=x1") as answer:
            text = unescape(await answer.text())
        async with client.get(f"{home.url}/traffic.har") as answer:
            [entry] = (await answer.json())["log"]["entries"]

    assert f"<b>GET</b> {brief}</span>" in text
    assert f"-X GET {shlex.quote(whole.replace('OURS', ours))}" in text
    assert entry["request"]["url"] == whole.replace("OURS", ours)

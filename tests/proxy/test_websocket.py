"""A page's WebSocket is the app's: what either says, and how it leaves."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from proxy.behind import PIECE, Front, Left, MsgType, app_running, fronted, raw
from yarl import URL

MEGABYTE = 1024 * 1024


@pytest.fixture
def left() -> Left:
    return asyncio.Queue()


@pytest.fixture
async def front(left: Left) -> AsyncIterator[Front]:
    async with app_running(left=left) as url, fronted(url) as front:
        yield front


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_both_ways(front: Front, client: aiohttp.ClientSession) -> None:
    """Text, bytes, large messages and the protocol chosen; a ping is answered."""
    async with client.ws_connect(
        f"{front.url}/socket", protocols=("x", "chat"), autoping=False, max_msg_size=0
    ) as socket:
        assert socket.protocol == "chat"
        await socket.send_str("hello")
        assert await socket.receive_str() == f"{URL(front.url).authority} hello"
        await socket.ping(b"there?")
        assert await socket.receive() == (MsgType.PONG, b"there?", "")
        for data in (b"", PIECE, PIECE * 100):
            await socket.send_bytes(data)
            assert await socket.receive_bytes() == data


async def test_the_app_leaves(front: Front, client: aiohttp.ClientSession) -> None:
    """With a code and a reason of its own."""
    async with client.ws_connect(f"{front.url}/socket") as socket:
        await socket.send_str("leave")
        assert await socket.receive() == (MsgType.CLOSE, 4001, "because")


async def test_the_page_leaves(front: Front, client: aiohttp.ClientSession, left: Left) -> None:
    """So does the page; one that is torn away is said to have gone away."""
    socket = await client.ws_connect(f"{front.url}/socket")
    await socket.close(code=4999, message=b"enough")
    assert await asyncio.wait_for(left.get(), 5) == (4999, "enough")

    async with aiohttp.ClientSession() as torn:
        await torn.ws_connect(f"{front.url}/socket")
        assert torn.connector is not None
        await torn.connector.close()
    assert (await asyncio.wait_for(left.get(), 5))[0] == 1001


async def test_an_app_that_dies(front: Front, client: aiohttp.ClientSession) -> None:
    """Is no farewell: the page sees the connection break."""
    socket = await client.ws_connect(f"{front.url}/socket")
    await socket.send_str("die")
    assert (await socket.receive()).type is MsgType.CLOSED
    assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_too_large_a_message(front: Front) -> None:
    """Is refused with the code for it, and costs no memory beyond."""
    head = (
        b"GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    frame = b"\x82\xff" + (17 * MEGABYTE).to_bytes(8, "big") + b"\0\0\0\0"
    assert b"\x03\xf1" in await raw(front, head + frame)  # 1009


async def test_a_refusal(front: Front, client: aiohttp.ClientSession) -> None:
    """The app's own: its status and what it wants."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect(f"{front.url}/refuses")
    assert caught.value.status == 401
    assert caught.value.headers is not None
    assert caught.value.headers["WWW-Authenticate"] == "JWT realm=x"
    assert front.heard[-1].status == 401


@pytest.mark.parametrize("to", ["SELF/socket", "/socket", "//evil.example/socket"])
async def test_a_redirect_is_handed_back(front: Front, to: str) -> None:
    """We go nowhere that the app says: a page that redirects would open everything of this machine
    to whoever reaches us, the dashboard first.
    """
    head = (
        f"GET /redirect?to={to} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = await raw(front, head.encode(), until=b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 302 ")
    assert f"Location: {to.replace('SELF', front.app_url)}\r\n".encode() in answer
    assert [each.status for each in front.heard] == [302]


async def test_open_ones_do_not_hold_the_end(client: aiohttp.ClientSession) -> None:
    """The port closes at once; the page is told."""
    async with app_running() as url:
        async with fronted(url) as front:
            socket = await client.ws_connect(f"{front.url}/socket")
            started = time.monotonic()
        assert time.monotonic() - started < 0.4
        assert (await socket.receive()).type in (MsgType.CLOSE, MsgType.CLOSED)

"""What passes through is what came: byte for byte where it matters to apps and browsers."""

import asyncio
import gzip
from contextlib import suppress

import aiohttp
import pytest
from proxy.behind import app_running, canned, fronted, raw

from devserver.web import proxy

HEAD = b"Host: localhost\r\nConnection: close\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PACKED = gzip.compress(b"hello" * 20, mtime=0)


async def passed(answer: bytes, request: bytes) -> tuple[bytes, bytes]:
    """What the app was asked, and what the client was answered."""
    async with canned(answer) as app, fronted(app.url, dashboard="http://localhost:1") as front:
        got = await raw(front, request)
    return b"".join(app.asked[:1]), got


async def test_a_compressed_upload() -> None:
    """Is the app's to unpack; its length is the one that was said."""
    asked, _ = await passed(
        OK,
        b"POST /x HTTP/1.1\r\n%bContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (HEAD, len(PACKED), PACKED),
    )
    assert b"Content-Encoding: gzip" in asked
    assert asked.endswith(b"\r\n\r\n" + PACKED)


async def test_nothing_is_added_to_an_answer() -> None:
    """No type where the app gave none, which browsers would save to disk; no server but its own."""
    _, plain = await passed(OK, b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n")
    _, named = await passed(
        OK.replace(b"\r\n\r\n", b"\r\nServer: theirs\r\nContent-Type: text/x\r\n\r\n"),
        b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n",
    )
    assert b"Content-Type" not in plain
    assert b"Server" not in plain
    assert b"Server: theirs\r\n" in named
    assert b"Content-Type: text/x\r\n" in named


@pytest.mark.parametrize("reason", [b"All\x0bGood", b"Tr\xe8s bien", b""])
async def test_what_the_app_calls_its_status(reason: bytes) -> None:
    """Comes through as far as it can be written into a line."""
    answer = OK.replace(b"200 OK", b"200 " + reason)
    _, got = await passed(answer, b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n")

    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"\r\n\r\nok")


async def test_long_headers() -> None:
    """Cookies of localhost are those of all its ports; tokens and state make long queries."""
    long = b"a" * 20_000
    asked, got = await passed(
        OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: " + long + b"\r\n\r\n"),
        b"GET /x?%b HTTP/1.1\r\n%bCookie: %b\r\n\r\n" % (long, HEAD, long),
    )
    assert asked.count(long) == 2
    assert long in got


async def test_a_client_that_waits_to_be_told() -> None:
    """Expect: 100-continue is answered by us, and not asked of the app."""
    asked, got = await passed(
        OK,
        b"POST /x HTTP/1.1\r\n%bExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" % HEAD,
    )
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert b"Expect" not in asked


async def test_early_hints_are_no_answer() -> None:
    """What an app says before its answer is left out."""
    _, got = await passed(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n",
    )
    assert got.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"text/html; charset=utf-16", b"a\0b\0"),
        (b"text/html; charset=no-such-thing", b"ab"),
        (b"text/html\r\nContent-Encoding: gzip", PACKED),
        (b"text/html\r\nContent-Disposition: attachment", b"ab"),
        (b"application/xhtml+xml", b"ab"),
    ],
)
async def test_pages_that_get_no_script(kind: bytes, body: bytes) -> None:
    """Where a script of ours would spoil what is there."""
    _, got = await passed(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (kind, len(body), body),
        b"GET /x HTTP/1.1\r\n" + HEAD + b"Accept: text/html\r\n\r\n",
    )
    assert got.partition(b"\r\n\r\n")[2] == body


async def test_events_come_one_by_one() -> None:
    """Server-sent events are not gathered."""
    async with (
        app_running() as url,
        fronted(url) as front,
        aiohttp.ClientSession() as client,
        client.get(f"{front.url}/stream") as answer,
        asyncio.timeout(5),
    ):
        for number in range(3):
            assert await answer.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
            async with client.post(f"{front.url}/next") as done:
                assert done.status == 204
        assert await answer.read() == b""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "is no HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "is no HTTP",
        ),
    ],
)
async def test_an_app_that_speaks_no_http(answer: bytes, why: str) -> None:
    """Is told as such, on one line."""
    _, got = await passed(answer, b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert got.startswith(b"HTTP/1.1 502 ")
    assert why in got.decode().splitlines()[-2]


async def test_no_tls_where_some_was_said() -> None:
    """The scheme in the settings is named."""
    async with app_running() as url, fronted(url.replace("http", "https")) as front:
        got = await raw(front, b"GET /x HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert b"speaks no TLS" in got
    assert b"http://" in got


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "SLOW_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_does_not_go_on() -> None:
    """Is its sender's fault, and cut."""
    async with canned(OK) as app, fronted(app.url) as front:
        got = await raw(
            front,
            b"POST /x HTTP/1.1\r\n" + HEAD + b"Content-Length: 10\r\n\r\nabc",
            until=b"in time\n",
        )
    assert got.startswith(b"HTTP/1.1 408 ")
    assert not app.asked
    assert "did not go on" in front.heard[-1].error


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_does_not_read() -> None:
    """Is cut as well, and holds no connection of the app's."""
    async with app_running() as url, fronted(url) as front:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(front.url.rpartition(":")[2])
        )
        writer.write(b"GET /download?size=100000000 HTTP/1.1\r\n" + HEAD + b"\r\n")
        async with asyncio.timeout(5):
            while not front.heard:  # noqa: ASYNC110 - it tells nobody but its ear
                await asyncio.sleep(0.01)
        assert front.heard[-1].response.size < 100_000_000
        assert front.heard[-1].error == "broken off on the way (TimeoutError)"
        with suppress(ConnectionError):
            assert len(await reader.read()) < 100_000_000
        writer.close()

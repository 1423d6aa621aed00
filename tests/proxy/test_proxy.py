"""What is not ours goes to the app and comes back as it was."""

import asyncio
import hashlib
import json
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import aiohttp
import pytest
from proxy.behind import PAGE, PIECE, Front, app_running, fronted, raw
from yarl import URL

from devserver.backend import Backend, BackendAway, BackendUnavailable

MEGABYTE = 1024 * 1024


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with app_running() as url, fronted(url, dashboard="http://localhost:1") as front:
        yield front


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def test_a_request_arrives_as_it_was(front: Front, client: aiohttp.ClientSession) -> None:
    """Method, path to the letter, query, body, headers, Host; the answer's status comes back."""
    path = "/a%2Fb//c/..%2fd/%7E?x=a+b%20c&x=%2B&status=418"
    async with client.patch(
        URL(front.url + path, encoded=True),
        data=b"\x00\xff",
        headers={"X-Mine": "é", "Cookie": "s=1", "Authorization": "JWT abc"},
    ) as answer:
        assert answer.status == 418
        said = await answer.json()

    assert (said["method"], said["path"], said["body"]) == ("PATCH", path, "\x00\xff")
    headers = {name.lower(): value for name, value in said["headers"]}
    assert headers["cookie"] == "s=1"
    assert headers["authorization"] == "JWT abc"
    assert headers["host"] == URL(front.url).authority


async def test_what_belongs_to_a_connection_stays(
    front: Front, client: aiohttp.ClientSession
) -> None:
    """Hop-by-hop headers go neither way; who asks is said in X-Forwarded-*."""
    async with client.get(
        f"{front.url}/x",
        headers={
            "Connection": "X-Hop",
            "X-Hop": "1",
            "TE": "trailers",
            "Proxy-Authorization": "Basic x",
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "/evil",
            "X_Forwarded_Host": "evil.example",
            "X-Forwarded-Port": "666",
            "Forwarded": "host=evil.example",
        },
    ) as answer:
        headers = {name.lower(): value for name, value in (await answer.json())["headers"]}

    assert not headers.keys() & {"x-hop", "te", "proxy-authorization", "forwarded"}
    assert not headers.keys() & {"x-forwarded-prefix", "x-forwarded-port"}
    assert headers["x-forwarded-for"] in ("203.0.113.9, 127.0.0.1", "203.0.113.9, ::1")
    assert headers["x-forwarded-host"] == URL(front.url).authority
    assert headers["x-forwarded-proto"] == "http"
    async with client.get(f"{front.url}/cookies") as answer:
        assert "X-Secret" not in answer.headers
        assert answer.headers.getall("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/; HttpOnly"]


async def test_no_connection_takes_away_what_is_the_apps(
    front: Front, client: aiohttp.ClientSession
) -> None:
    """`Connection` names what ends with it; whoever calls cannot unsign his call by that."""
    kept = {"Authorization": "JWT abc", "Cookie": "a=1", "Content-Type": "text/plain"}
    named = {"Connection": "Host, Authorization, Cookie, Content-Type, X-Hop", "X-Hop": "1"}
    async with client.post(f"{front.url}/x", headers={**kept, **named}, data=b"x") as answer:
        headers = {name.lower(): value for name, value in (await answer.json())["headers"]}

    assert {name: headers.get(name.lower()) for name in kept} == kept
    assert headers["host"] == URL(front.url).authority
    assert "x-hop" not in headers


def own_address() -> str:
    """This machine's address on its network; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        try:
            each.connect(("203.0.113.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = each.getsockname()[0]
        return address


@pytest.mark.skipif(own_address().startswith("127."), reason="this machine is on no network")
async def test_what_strangers_say_of_themselves(client: aiohttp.ClientSession) -> None:
    """Only a tunnel on this machine knows for whom it asks; others are who they are."""
    async with (
        app_running() as url,
        fronted(url, host="0.0.0.0") as front,
        client.get(
            f"http://{own_address()}:{URL(front.url).port}/x",
            headers={"Host": "localhost", "X-Forwarded-For": "203.0.113.9"},
        ) as answer,
    ):
        headers = dict((await answer.json())["headers"])
    assert headers["X-Forwarded-For"] == own_address()


async def test_the_scheme_of_a_tunnel(client: aiohttp.ClientSession) -> None:
    """Whoever came by the public URL's name came by its scheme."""
    async with app_running() as url, fronted(url, public_url="https://tunnel.example") as front:
        async with client.get(f"{front.url}/x", headers={"Host": "tunnel.example"}) as answer:
            headers = dict((await answer.json())["headers"])
        assert headers["X-Forwarded-Proto"] == "https"
        async with client.get(
            f"{front.url}/redirect?to=SELF/next",
            headers={"Host": "tunnel.example"},
            allow_redirects=False,
        ) as answer:
            assert answer.headers["Location"] == "https://tunnel.example/next"


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("SELF/next?a=%2B", "OURS/next?a=%2B"),
        ("SELF/next#there", "OURS/next#there"),
        ("LOCAL/next", "OURS/next"),
        ("/next", "/next"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("http://[", "http://["),
        ("http://localhost:abc/", "http://localhost:abc/"),
        ("http://localhost:99999/", "http://localhost:99999/"),
    ],
)
async def test_redirects(front: Front, client: aiohttp.ClientSession, to: str, where: str) -> None:
    """To the app's own address they come to us; others stay."""
    to = to.replace("LOCAL", front.app_url.replace("127.0.0.1", "localhost"))
    async with client.get(
        f"{front.url}/redirect", params={"to": to}, allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == where.replace("OURS", front.url)


@pytest.mark.parametrize("length", ["", "1"], ids=["chunked", "with a length"])
async def test_a_large_download(front: Front, client: aiohttp.ClientSession, length: str) -> None:
    """100 MB come through in constant memory."""
    size = 100 * MEGABYTE
    tracemalloc.start()
    try:
        got = 0
        async with client.get(f"{front.url}/download?size={size}&length={length}") as answer:
            assert answer.headers.get("Content-Length") == (str(size) if length else None)
            async for piece in answer.content.iter_any():
                got += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert got == size
    assert peak < 8 * MEGABYTE
    assert front.heard[-1].response.size == size
    assert len(front.heard[-1].response.body) <= 16 * 1024


async def test_a_large_upload(front: Front, client: aiohttp.ClientSession) -> None:
    """So do 100 MB the other way."""
    size = 100 * MEGABYTE
    expected = hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // len(PIECE)):
            expected.update(PIECE)
            yield PIECE

    tracemalloc.start()
    try:
        async with client.post(f"{front.url}/upload", data=pieces()) as answer:
            said = await answer.json()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert said == {"size": size, "sha256": expected.hexdigest()}
    assert peak < 8 * MEGABYTE


async def test_head_and_ranges(front: Front, client: aiohttp.ClientSession) -> None:
    """Are the app's: lengths, tags and pieces."""
    async with client.head(f"{front.url}/ranged") as head, client.get(f"{front.url}/ranged") as get:
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.headers["ETag"] == get.headers["ETag"]
        whole = await get.read()
    async with client.get(f"{front.url}/ranged", headers={"Range": "bytes=5-9"}) as part:
        assert part.status == 206
        assert await part.read() == whole[5:10]
    async with client.get(
        f"{front.url}/ranged", headers={"If-None-Match": get.headers["ETag"]}
    ) as same:
        assert same.status == 304


@pytest.mark.parametrize("length", ["", "1"], ids=["chunked", "with a length"])
async def test_an_app_that_dies_on_the_way(
    front: Front, client: aiohttp.ClientSession, length: str
) -> None:
    """Its half answer is not taken for a whole one."""
    with pytest.raises(aiohttp.ClientError):
        async with client.get(
            f"{front.url}/download?size={4 * MEGABYTE}&die=1&length={length}"
        ) as answer:
            await answer.read()


async def test_two_hundred_at_once(front: Front, client: aiohttp.ClientSession) -> None:
    """Each gets its own answer, side by side."""

    async def ask(number: int) -> None:
        async with client.get(f"{front.url}/slow?n={number}") as answer:
            assert await answer.text() == "slow"

    started = time.monotonic()
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for number in range(200):
            tasks.create_task(ask(number))
    assert time.monotonic() - started < 5


async def test_no_app(client: aiohttp.ClientSession) -> None:
    """A page that says why and what has to run, or text; no secret, no markup of the caller's."""
    async with fronted("http://127.0.0.1:1") as front:
        path = f"{front.url}/<script>alert(1)</script>"
        async with client.get(path, headers={"Accept": "text/html"}) as answer:
            html = await answer.text()
            assert answer.status == 502
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        async with client.get(path) as answer:
            text = await answer.text()

        for accept in ("text/html", "*/*"):
            far = {"Host": "tunnel.example", "Accept": accept}
            async with client.get(path, headers=far) as answer:
                said = await answer.text()
                assert answer.status == 502
                assert "does not answer" in said
                assert "127.0.0.1" not in said
                assert "python" not in said

    assert "Nothing answers at http://127.0.0.1:1" in html
    assert "python app.py" in html
    assert "<script" not in html
    assert "this has to run: python app.py" in text
    assert "hush" not in html + text


async def test_pages_get_the_overlay(front: Front, client: aiohttp.ClientSession) -> None:
    """One script at their end, and the right length; nothing else does."""
    page = {"Sec-Fetch-Dest": "document", "Accept": "text/html", "Accept-Encoding": "gzip"}
    async with client.get(f"{front.url}/page", headers=page) as answer:
        text = await answer.text()
        assert answer.headers["X-Frame-Options"] == "DENY"
    async with client.head(f"{front.url}/page", headers=page) as head:
        assert head.headers["Content-Length"] == str(len(text.encode()))
    assert text.startswith(PAGE)
    assert text.count("<script") == 1
    assert 'data-dashboard="http://localhost:1"' in text
    async with client.get(f"{front.url}/_upm-dev/live.js") as answer:
        assert answer.content_type == "text/javascript"

    for other in (
        {**page, "Sec-Fetch-Dest": "empty"},
        {**page, "Host": "tunnel.example"},
        {"Accept": "*/*"},
    ):
        async with client.get(f"{front.url}/page", headers=other) as answer:
            assert await answer.text() == PAGE


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: a\rSet-Cookie: b\r\nConnection: close\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked"
        b"\r\nConnection: close\r\n\r\n0\r\n\r\nGET /y HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: xchunked"
        b"\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length : 3\r\n"
        b"\r\nabc",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: +3\r\n"
        b"\r\nabc",
    ],
    ids=[
        "absolute target",
        "foreign host",
        "bare CR",
        "two lengths",
        "two hosts",
        "no host",
        "an encoding of its own",
        "a space before the colon",
        "a sign before the length",
    ],
)
async def test_requests_that_mean_two_things(front: Front, request_head: bytes) -> None:
    """Are refused, and the app hears nothing of them."""
    answer = await raw(front, request_head)

    assert answer.split(b" ")[1] in (b"400", b"421")
    assert not front.heard


async def test_a_path_cannot_leave_the_app(front: Front, client: aiohttp.ClientSession) -> None:
    """Whatever it holds, it is a path of the app's."""
    for path in ("//evil.example/x", "/@evil.example/", "/\\evil.example", "/../../etc/passwd"):
        answer = await raw(
            front,
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
        )
        said = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert said["path"] == path


async def test_an_upgrade_that_nobody_asked_for(client: aiohttp.ClientSession) -> None:
    """What followed would be no HTTP any more."""

    async def switched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        )
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(switched, "127.0.0.1", 0) as app:
        port = app.sockets[0].getsockname()[1]
        async with (
            fronted(f"http://127.0.0.1:{port}") as front,
            client.get(f"{front.url}/hello") as answer,
        ):
            assert answer.status == 502
            assert "answered 101" in await answer.text()


class Unread(BaseHTTPRequestHandler):
    """An app of the standard library, which leaves the body of a GET where it is."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_no_body_becomes_a_request(
    client: aiohttp.ClientSession, method: str, chunked: bool
) -> None:
    """What an app leaves unread would be its next request, which nobody has looked at."""
    inner = b"POST /installed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"

    async def pieces() -> AsyncIterator[bytes]:
        yield inner

    Unread.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Unread) as app:
        Thread(target=app.serve_forever, args=(0.01,), daemon=True).start()
        try:
            async with fronted(f"http://127.0.0.1:{app.server_port}") as front:
                for _ in range(3):
                    body = pieces() if chunked else inner
                    async with client.request(method, f"{front.url}/hello", data=body) as answer:
                        assert (answer.status, await answer.read()) == (200, b"hello")
                    async with client.get(f"{front.url}/next") as answer:
                        assert (answer.status, await answer.read()) == (200, b"hello")
        finally:
            app.shutdown()
    assert Unread.asked == [f"{method} /hello", "GET /next"] * 3


@pytest.mark.parametrize(
    ("error", "kind", "status", "says"),
    [
        (aiohttp.ConnectionTimeoutError(), BackendAway, 502, "nothing answers at"),
        (TimeoutError(), BackendUnavailable, 504, "did not answer in time"),
        (aiohttp.ServerDisconnectedError(), BackendUnavailable, 502, "closed the connection"),
    ],
)
def test_an_app_that_cannot_be_reached_is_told_from_one_that_is_slow(
    error: Exception, kind: type[BackendUnavailable], status: int, says: str
) -> None:
    """One that does not run is waited for, one that took the request is not asked twice."""
    told = Backend("http://localhost:3000").unavailable(error)

    assert (type(told), told.status) == (kind, status)
    assert says in told.reason

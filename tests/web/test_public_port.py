"""The public port: exactly the descriptor and its callbacks, over real sockets."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from devserver.errors import CannotStart, PortInUse
from devserver.events import Bus, RequestServed
from devserver.model import CallbackSpec, Descriptor, Kind, Revision
from devserver.publish import Published
from devserver.web import listen, public
from devserver.web.listen import open_sockets, serving
from devserver.web.public import BODY_LIMIT, LARGE_AT_ONCE, SMALL, Received, Site, public_app

PACKED = gzip.compress(b"so it is" * 50, mtime=0)


def descriptor(text: str, kind: Kind = Kind.REMOTE_XML) -> Descriptor:
    return Descriptor(
        kind=kind,
        key="a.b",
        name="A",
        version="1",
        body=text.encode(),
        canonical=text,
        base_url="http://localhost:8000",
        callbacks=(CallbackSpec("remote_plugin_installed", "/installed"),),
    )


@dataclass
class Port:
    """A public port under test and what it told."""

    url: str
    published: Published
    requests: list[RequestServed] = field(default_factory=list)
    received: list[tuple[CallbackSpec, bytes]] = field(default_factory=list)


@asynccontextmanager
async def public_port(*hosts: str) -> AsyncIterator[tuple[Port, aiohttp.ClientSession]]:
    published, bus = Published(), Bus()
    port = Port("", published)

    async def receive(request: web.Request, spec: CallbackSpec, body: bytes) -> Received:
        port.received.append((spec, body))
        if body == b"packed":
            return Received(200, body=PACKED, headers=(("Content-Encoding", "gzip"),))
        return Received(204) if body != b"forged" else Received(401, "forged\n")

    def note(event: object) -> None:
        if isinstance(event, RequestServed):
            port.requests.append(event)

    app = public_app(Site(published, bus, receive), frozenset(hosts))
    with bus.listening(note):
        async with (
            serving(app, open_sockets(None, 0)) as number,
            aiohttp.ClientSession() as session,
        ):
            port.url = f"http://localhost:{number}"
            yield port, session


async def test_before_the_first_revision_it_says_so() -> None:
    """503 with a short text, not an empty descriptor."""
    async with public_port() as (port, session):
        async with session.get(f"{port.url}/atlassian-plugin.xml") as answer:
            assert answer.status == 503
            assert "no good revision" in await answer.text()
        async with session.get(port.url) as answer:
            assert "no good revision yet" in await answer.text()


async def test_a_get_is_served_and_told_with_its_digest() -> None:
    """The bytes, their type, their strong ETag; and the event names who took them."""
    wanted = descriptor("<a/>")
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": wanted}))
        url = f"{port.url}/atlassian-plugin.xml?target=jira&rev={wanted.digest}&other=1"
        async with session.get(url) as answer:
            assert answer.status == 200
            assert await answer.read() == b"<a/>"
            assert answer.headers["Content-Type"] == "application/xml; charset=UTF-8"
            assert answer.headers["ETag"] == f'"{wanted.digest}"'
            assert answer.headers["Cache-Control"] == "no-cache"

    event = port.requests[-1]
    assert (event.who, event.target, event.digest) == ("jira", "jira", wanted.digest)
    assert (event.method, event.status) == ("GET", 200)


async def test_head_conditional_and_foreign_requests() -> None:
    """HEAD has no body, a known ETag is 304, an old digest 404, a POST 405; none is a redirect."""
    wanted = descriptor("<a/>")
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": wanted}))
        url = f"{port.url}/atlassian-plugin.xml"
        async with session.head(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            assert answer.headers["Content-Length"] == "4"
        async with session.get(url, headers={"If-None-Match": f'"{wanted.digest}"'}) as answer:
            assert answer.status == 304
        async with session.get(url, params={"rev": "00"}) as answer:
            assert answer.status == 404
        async with session.get(url, params={"target": "nobody"}) as answer:
            assert answer.status == 404
        async with session.post(url, data=b"x") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")

    told = [(each.method, each.status) for each in port.requests]
    assert told == [("HEAD", 200), ("GET", 304), ("GET", 404), ("GET", 404), ("POST", 405)]


async def test_json_is_served_as_json() -> None:
    """A Connect descriptor is served under either name, as application/json."""
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("{}", Kind.CONNECT_JSON)}))
        for name in ("atlassian-connect.json", "atlassian-plugin.xml"):
            async with session.get(f"{port.url}/{name}") as answer:
                assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"


async def test_only_declared_callbacks_are_taken() -> None:
    """A POST to a declared path is handed on with its body, any other path is nothing."""
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        async with session.post(f"{port.url}/installed?user_key=admin", data=b"hello") as answer:
            assert (answer.status, await answer.read()) == (204, b"")
        async with session.post(f"{port.url}/installed", data=b"forged") as answer:
            assert answer.status == 401
        for method, path in (("POST", "/elsewhere"), ("GET", "/installed"), ("GET", "/x/../y")):
            async with session.request(method, port.url + path) as answer:
                assert answer.status == 404

    assert [body for _, body in port.received] == [b"hello", b"forged"]


async def test_a_compressed_answer_goes_back_as_it_came() -> None:
    """The app's answer to a callback, with what says how it is packed; and no type of ours."""
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        async with session.post(f"{port.url}/installed", data=b"packed") as answer:
            assert await answer.read() == b"so it is" * 50
            assert "Content-Type" not in answer.headers


async def test_a_body_that_does_not_come_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever announces a callback and does not send it is answered 408, and hung up on."""
    monkeypatch.setattr(public, "BODY_SECONDS", 0.1)
    async with public_port() as (port, _):
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        answer = await sent(
            port,
            b"POST /installed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc",
            until=b"in time\n",
        )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert not port.received


async def test_until_there_is_a_revision_no_post_gets_by() -> None:
    """It may be a callback: whoever calls must not find the app unguarded while it is broken."""
    async with public_port() as (port, session):
        async with session.post(f"{port.url}/installed", json={}) as answer:
            assert answer.status == 503
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        async with session.post(f"{port.url}/installed", json={}) as answer:
            assert answer.status == 204


async def test_headers_are_bounded_together() -> None:
    """What is kept of a request to be looked at is no larger than anybody needs."""
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        for count, status in ((1, 200), (3, 431)):
            headers = {f"X-{number}": "x" * 60_000 for number in range(count)}
            url = f"{port.url}/atlassian-plugin.xml"
            async with session.get(url, headers=headers) as answer:
                assert answer.status == status
    assert [each.status for each in port.requests] == [200]


async def test_large_bodies_wait_for_one_another() -> None:
    """What strangers may have us hold is bounded; calls of a host's size go by them."""
    size = SMALL + 1
    head = b"POST /installed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\n\r\n"
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        slow = [await opened(port, head % size + b"x") for _ in range(LARGE_AT_ONCE)]
        await (await session.get(f"{port.url}/_upm-dev/health")).read()
        reader, late = await opened(port, head % size + b"y" * size)
        assert (await sent(port, head % 2 + b"{}")).startswith(b"HTTP/1.1 204 ")
        assert [body for _, body in port.received] == [b"{}"]

        slow[0][1].write(b"x" * SMALL)
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
        for _, writer in (*slow, (reader, late)):
            writer.close()

    assert [body[:1] for _, body in port.received] == [b"{", b"x", b"y"]


async def test_a_head_that_does_not_come_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does a connection that says nothing, or its headers letter by letter, stay open."""
    monkeypatch.setattr(listen, "HEAD_SECONDS", 0.2)
    async with public_port() as (port, _):
        for said in (b"", b"GET / HTTP/1.1\r\nHost: local"):
            assert await sent(port, said) == b""


async def endless() -> AsyncIterator[bytes]:
    """A body of no length, until nobody listens."""
    while True:
        yield b"x" * 65536


async def opened(port: Port, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which these bytes are sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port.url.rpartition(":")[2]))
    writer.write(request)
    return reader, writer


async def sent(port: Port, request: bytes, *, until: bytes | None = None) -> bytes:
    """The bytes that come back for these bytes: all, or those until *until* is among them."""
    reader, writer = await opened(port, request)
    async with asyncio.timeout(5):
        answer = await (reader.read() if until is None else reader.readuntil(until))
    writer.close()
    return answer


async def test_a_body_without_end_is_cut() -> None:
    """More than the limit is 413, and never reaches the verifier."""
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("<a/>")}))
        for data in (io.BytesIO(b"x" * (BODY_LIMIT + 1)), endless()):
            async with session.post(f"{port.url}/installed", data=data) as answer:
                assert answer.status == 413

    assert not port.received


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", ""),
        *("evil.example@localhost", "localhost/evil", "localhost?evil", "localhost#evil"),
    ],
)
async def test_an_unknown_host_is_refused(host: str) -> None:
    """A name that somebody pointed at us gets 421 and no bytes of ours."""
    async with public_port() as (port, session):
        port.published.add(Revision(1, {"jira": descriptor("<secret/>")}))
        async with session.get(
            f"{port.url}/atlassian-plugin.xml", headers={"Host": host}
        ) as answer:
            assert answer.status == 421
            assert "secret" not in await answer.text()


async def test_no_host_is_an_unknown_one() -> None:
    """HTTP/1.0 has none: the address that was reached is no name of ours."""
    async with public_port() as (port, _):
        port.published.add(Revision(1, {"jira": descriptor("<secret/>")}))
        answer = await sent(port, b"GET /atlassian-plugin.xml HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 421 ")
    assert b"secret" not in answer


@pytest.mark.parametrize(
    "host",
    [
        *("LOCALHOST", "127.0.0.1:1", "[::1]:80", "a.localhost"),
        *("abc.example.org", "dev_app_1:8000"),
    ],
)
async def test_our_names_are_answered(host: str) -> None:
    """Loopback names with any port, the public URL's name, and one that Docker Compose gives."""
    async with public_port("abc.example.org", "dev_app_1") as (port, session):
        answer = await session.get(f"{port.url}/_upm-dev/health", headers={"Host": host})
        assert await answer.json() == {"status": "ok", "revision": None}


async def test_both_loopback_addresses_answer() -> None:
    """A host that resolves localhost to ::1 reaches the same server."""
    async with public_port() as (port, session):
        number = port.url.rpartition(":")[2]
        for address in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{address}:{number}/_upm-dev/health") as answer:
                assert answer.status == 200


def test_a_taken_port_is_named_with_the_flag() -> None:
    """One sentence, and what to type instead."""
    taken = open_sockets(None, 0)
    number = taken[0].getsockname()[1]
    try:
        with pytest.raises(PortInUse, match=rf"127.0.0.1:{number} is already in use") as caught:
            open_sockets(None, number, flag="--port")
    finally:
        for each in taken:
            each.close()

    assert f"--port {number + 1}" in caught.value.remedy
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_an_address_that_is_not_ours_cannot_be_listened_on(host: str) -> None:
    """`--host` with somebody else's address says so."""
    with pytest.raises(CannotStart, match=host):
        open_sockets(host, 0)


async def test_bytes_that_are_no_http_leave_no_trace_in_the_terminal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever reaches the port cannot write stack traces to the user's screen."""
    async with public_port() as (port, _):
        number = int(port.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"400" in await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert not caplog.records


async def test_whoever_leaves_in_the_middle_leaves_no_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor can they by hanging up while they are answered."""
    async with public_port() as (port, _):
        number = int(port.url.rpartition(":")[2])
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", number)
            writer.write(b"POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n")
            writer.write_eof()
            writer.close()
            await writer.wait_closed()

    assert not caplog.records

"""Is there a product, and where: scripted listeners on ports of this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from datacenter.plugins import POM

from devserver.datacenter.products import Place, places, running
from devserver.descriptor import maven


@asynccontextmanager
async def listener(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Says *answer* to whoever calls; None: nothing at all. Gives its URL and what was asked."""
    asked: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if answer is None:
            await ended.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/jira", asked
    finally:
        ended.set()
        server.close()


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (b"HTTP/1.1 200 OK\r\nupm-token: 1\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"HTTP/1.1 503 Starting\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", True),
        (None, True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 " + b"9" * 5000 + b"\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False),
        (b"", False),
    ],
    ids=[
        "ready",
        "asks who",
        "starting",
        "login",
        "silent",
        "no product",
        "digits",
        "SSH",
        "hangs up",
    ],
)
async def test_what_counts_as_a_product(answer: bytes | None, there: bool) -> None:
    """Whatever may be one, ready or not; never something else on its port."""
    async with listener(answer) as (url, asked):
        found = await running([Place("jira", url)])
        assert (found is not None) is there
        assert asked == [b"HEAD /jira/rest/plugins/1.0/ HTTP/1.1\r\n"]


async def test_the_first_that_answers() -> None:
    """In the order of the candidates, and nobody where nobody listens."""
    async with listener(b"HTTP/1.1 200 OK\r\n\r\n") as (one, _):
        nobody = Place("bamboo", "http://127.0.0.1:1/bamboo")
        assert await running([nobody, Place("jira", one)]) == Place("jira", one)
        assert await running([nobody]) is None


def test_where_it_would_be() -> None:
    """The pom's port and context first, then the SDK's own."""
    assert next(places(None)) == Place("jira", "http://localhost:2990/jira")
    told = "<httpPort>${port}</httpPort><contextPath>/</contextPath>"
    text = POM.format(settings=told).replace("<properties>", "<properties><port>2001</port>")
    pom = maven.read({"pom.xml": text.encode()})
    found = list(places(pom))
    assert found[:2] == [
        Place("jira", "http://localhost:2001"),
        Place("jira", "http://localhost:2990/jira"),
    ]
    assert len(found) == len({each.url for each in found})

"""A host whose every answer is written down byte by byte, in the order in which it gives them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from devserver.credentials import Credentials
from devserver.model import Target
from devserver.upm.client import Upm
from devserver.upm.wire import connections

KEY = "com.example.hello"
ROOT = "/jira/rest/plugins/1.0"
HANG = b"(hang)"
"""In place of an answer: take the request and say nothing."""
RESET = b"(reset)"
"""In place of an answer: hang up at once."""


def answer(
    status: int, body: str | bytes = b"", *, kind: str = "application/json", **headers: str
) -> bytes:
    """An HTTP answer, whole; underscores in the names of *headers* are hyphens."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
    if data:
        lines.append(f"Content-Type: {kind}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def token(value: str = "-42") -> bytes:
    """A UPM's list of apps, with a token."""
    kind = "application/vnd.atl.plugins.installed+json"
    return answer(200, '{"plugins":[],"links":{}}', kind=kind, upm_token=value)


def accepted(path: str = "/jira/rest/plugins/1.0/pending/1b2c", **more: str) -> bytes:
    """The 202 of an installation (upm-protocol.md §2.3)."""
    body = (
        f'{{"type":"INSTALL","pingAfter":1,"status":{{"done":false}},"links":{{"self":"{path}"}}}}'
    )
    return answer(202, body, **more)


@dataclass(frozen=True)
class Request:
    """What we sent, as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


def installing(
    replies: Mapping[str, bytes] | None = None,
    *,
    key: str = KEY,
    version: str = "1.0",
    **more: object,
) -> Callable[[Request], bytes | None]:
    """A UPM that lists, accepts and installs, and fetches nothing.

    *replies*, by method, take the place of its own; *more* is what it lists of the app.
    """
    state = {"posted": False}
    app = answer(200, json.dumps({"key": key, "version": version, "enabled": True, **more}))

    def reply(request: Request) -> bytes | None:
        if (said := (replies or {}).get(request.method)) is not None:
            return said
        match request.method, request.path.partition("?")[0].removeprefix(f"{ROOT}/"):
            case "HEAD", _:
                return answer(200, upm_token="1")
            case "GET", "":
                return token("1")
            case "POST", _:
                state["posted"] = True
                return accepted()
            case "GET", path if path.startswith("pending/"):
                return answer(303, Location=f"{ROOT}/{key}-key")
            case "GET", path if path.endswith("-key"):
                return app if state["posted"] else answer(404)
        return None

    return reply


@dataclass
class Scripted:
    """The host: what it will answer, and what it was asked."""

    port: int
    answers: list[bytes]
    requests: list[Request] = field(default_factory=list)
    last: bytes | None = None
    """Given again and again once the others are used up."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jira"

    @property
    def lines(self) -> list[str]:
        return [each.line.removesuffix(" HTTP/1.1") for each in self.requests]


@asynccontextmanager
async def scripted(
    answers: Iterable[bytes] = (),
    last: bytes | None = None,
    *,
    by: Callable[[Request], bytes | None] = lambda _: None,
) -> AsyncIterator[Scripted]:
    """Run such a host while the block runs; each answer is one request's.

    *by* is asked first: it gives what a request is answered whenever it comes, or None.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                host.requests.append(request)
                reply = by(request)
                if reply is None:
                    reply = host.answers.pop(0) if host.answers else host.last
                if reply is None or reply == RESET:
                    writer.transport.abort()
                    return
                if reply == HANG:
                    await reader.read()
                    return
                writer.write(reply)
                await writer.drain()
                if b"(cut)" in reply:
                    return
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host = Scripted(server.sockets[0].getsockname()[1], list(answers), last=last)
    async with server:
        yield host


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0], headers, body)


@asynccontextmanager
async def upm_of(
    url: str,
    *,
    user: str | None = "admin",
    secret: str = "s3cret-of-the-test",
    limit: float = 1.0,
) -> AsyncIterator[Upm]:
    """A client of the UPM at *url*; no *user*: with a Bearer token."""
    origin = "/".join(url.split("/")[:3])
    target = Target(name="jira", url=url, user=user)
    who = Credentials(origin=origin, user=user, secret=secret, source="the test")
    async with connections() as session:
        yield Upm(session, target, who, limit=limit)

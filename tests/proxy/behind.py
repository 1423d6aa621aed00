"""An app to stand behind the proxy, and the public port in front of it, in this process."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web
from yarl import URL

from devserver.backend import Backend
from devserver.events import Bus
from devserver.model import CallbackSpec, Descriptor, Kind, Revision
from devserver.publish import Published
from devserver.traffic import Exchange
from devserver.web.listen import open_sockets, serving
from devserver.web.proxy import Proxy
from devserver.web.public import Received, Site, public_app

DESCRIPTOR = Descriptor(
    kind=Kind.REMOTE_XML, key="a.b", name="A", version="1", body=b"<a/>", canonical="a"
)
PIECE = b"0123456789abcdef" * 4096
SELF = web.AppKey("SELF", str)
LEFT: "web.AppKey[asyncio.Queue[tuple[object, object]]]" = web.AppKey("LEFT", asyncio.Queue)
NEXT: "web.AppKey[asyncio.Queue[None]]" = web.AppKey("NEXT", asyncio.Queue)
MsgType = aiohttp.WSMsgType
PAGE = "<!doctype html><title>app</title><p>page"


async def echo(request: web.Request) -> web.Response:
    """What the app was asked, headers in their order."""
    body = await request.read()
    said = {
        "method": request.method,
        "path": request.raw_path,
        "headers": list(request.headers.items()),
        "body": body.decode("latin1"),
    }
    return web.json_response(said, status=int(request.query.get("status", "200")))


async def download(request: web.Request) -> web.StreamResponse:
    size = int(request.query["size"])
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    if request.query.get("length"):
        response.content_length = size
    await response.prepare(request)
    left = size
    while left:
        piece = PIECE[:left]
        await response.write(piece)
        left -= len(piece)
        if request.query.get("die") and left < size // 2:
            assert request.transport is not None
            request.transport.abort()
            break
    return response


async def upload(request: web.Request) -> web.Response:
    digest, size = hashlib.sha256(), 0
    async for piece in request.content.iter_any():
        digest.update(piece)
        size += len(piece)
    return web.json_response({"size": size, "sha256": digest.hexdigest()})


async def socket(request: web.Request) -> web.WebSocketResponse:
    """Echoes; does what it is told to; tells `LEFT` how the page took its leave."""
    found = web.WebSocketResponse(protocols=("chat",), autoclose=False, max_msg_size=0)
    await found.prepare(request)
    while (message := await found.receive()).type in (MsgType.TEXT, MsgType.BINARY):
        if message.data == "leave":
            await found.close(code=4001, message=b"because")
        elif message.data == "die":
            assert request.transport is not None
            request.transport.abort()
        elif message.type is MsgType.TEXT:
            await found.send_str(f"{request.headers['X-Forwarded-Host']} {message.data}")
        else:
            await found.send_bytes(message.data)
    request.app[LEFT].put_nowait((message.data, message.extra))
    return found


async def refuses(_: web.Request) -> web.Response:
    return web.Response(status=401, text="who?", headers={"WWW-Authenticate": "JWT realm=x"})


async def ranged(_: web.Request) -> web.FileResponse:
    return web.FileResponse(__file__)


async def page(_: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html", headers={"X-Frame-Options": "DENY"})


async def redirect(request: web.Request) -> web.Response:
    there = request.query["to"].replace("SELF", request.app[SELF])
    return web.Response(status=302, headers={"Location": there})


async def cookies(_: web.Request) -> web.Response:
    response = web.Response(headers={"Connection": "X-Secret, close", "X-Secret": "1"})
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; Path=/; HttpOnly")
    return response


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events: the next when the page has asked for it elsewhere."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(3):
        await response.write(b"data: %d\n\n" % number)
        await request.app[NEXT].get()
    return response


async def go_on(request: web.Request) -> web.Response:
    request.app[NEXT].put_nowait(None)
    return web.Response(status=204)


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(0.05)
    return web.Response(text="slow")


class Front:
    """The public port, by its address; what the inspector heard, and every callback body."""

    def __init__(self) -> None:
        self.url = ""
        self.app_url = ""
        self.heard: list[Exchange] = []
        self.published = Published()
        self.published.add(Revision(1, {"jira": DESCRIPTOR}))
        self.bus = Bus()

    async def receive(self, _: web.Request, spec: CallbackSpec, body: bytes) -> Received:
        return Received(200, json.dumps({"event": spec.event, "size": len(body)}))


Left = asyncio.Queue[tuple[object, object]]


@asynccontextmanager
async def app_running(port: int = 0, left: Left | None = None) -> AsyncIterator[str]:
    app = web.Application(client_max_size=1 << 30)
    app[LEFT] = left if left is not None else asyncio.Queue()
    app[NEXT] = asyncio.Queue()
    app.add_routes(
        [
            web.get("/download", download),
            web.post("/upload", upload),
            web.get("/socket", socket),
            web.get("/refuses", refuses),
            web.get("/stream", stream),
            web.post("/next", go_on),
            web.get("/ranged", ranged),
            web.get("/page", page),
            web.get("/redirect", redirect),
            web.get("/cookies", cookies),
            web.get("/slow", slow),
            web.route("*", "/{path:.*}", echo),
        ]
    )
    sockets = open_sockets("127.0.0.1", port)
    app[SELF] = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    async with serving(app, sockets) as number:
        yield f"http://127.0.0.1:{number}"


@asynccontextmanager
async def fronted(
    app_url: str,
    *,
    public_url: str | None = None,
    dashboard: str | None = None,
    host: str | None = None,
) -> AsyncIterator[Front]:
    front = Front()
    backend = Backend(app_url, command="python app.py --secret=hush")
    proxy = Proxy(backend, front.heard.append, public_url=public_url, dashboard=dashboard)
    site = Site(front.published, front.bus, front.receive, proxy)
    hosts = frozenset({"tunnel.example"})
    async with serving(public_app(site, hosts), open_sockets(host, 0)) as port:
        front.url, front.app_url = f"http://localhost:{port}", app_url
        try:
            yield front
        finally:
            await backend.close()


class Canned:
    """An app that answers each request with these very bytes, and keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            self.asked.append(head + await reader.readexactly(int(length[1]) if length else 0))
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def canned(answer: bytes) -> AsyncIterator[Canned]:
    app = Canned(answer)
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    app.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield app


async def raw(front: Front, request: bytes, *, until: bytes | None = None) -> bytes:
    """The bytes that come back for these bytes; all, or those until *until* is among them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(front.url).port)
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await (reader.read() if until is None else reader.readuntil(until))
    writer.close()
    return answer

"""An app to stand behind the proxy, and the public port in front of it, in this process."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from devserver.backend import Backend
from devserver.events import Bus
from devserver.model import CallbackSpec
from devserver.publish import Published
from devserver.traffic import Exchange
from devserver.web.listen import open_sockets, serving
from devserver.web.proxy import Proxy
from devserver.web.public import Received, Site, public_app

PIECE = b"0123456789abcdef" * 4096
SELF = web.AppKey("SELF", str)
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
    found = web.WebSocketResponse(protocols=("chat",))
    await found.prepare(request)
    async for message in found:
        if message.type is aiohttp.WSMsgType.TEXT:
            if message.data == "leave":
                await found.close(code=4001)
            else:
                await found.send_str(f"{request.headers['X-Forwarded-Host']} {message.data}")
        elif message.type is aiohttp.WSMsgType.BINARY:
            await found.send_bytes(message.data)
    return found


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
        self.bus = Bus()

    async def receive(self, _: web.Request, spec: CallbackSpec, body: bytes) -> Received:
        return Received(200, json.dumps({"event": spec.event, "size": len(body)}))


@asynccontextmanager
async def app_running(port: int = 0) -> AsyncIterator[str]:
    app = web.Application(client_max_size=1 << 30)
    app.add_routes(
        [
            web.get("/download", download),
            web.post("/upload", upload),
            web.get("/socket", socket),
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
    app_url: str, *, public_url: str | None = None, dashboard: str | None = None
) -> AsyncIterator[Front]:
    front = Front()
    backend = Backend(app_url, command="python app.py --secret=hush")
    proxy = Proxy(backend, front.heard.append, public_url=public_url, dashboard=dashboard)
    site = Site(front.published, front.bus, front.receive, proxy)
    hosts = frozenset({"tunnel.example"})
    async with serving(public_app(site, hosts), open_sockets(None, 0)) as port:
        front.url, front.app_url = f"http://localhost:{port}", app_url
        try:
            yield front
        finally:
            await backend.close()

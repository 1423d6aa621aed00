"""Everything that is not ours goes to the app, as it came; its answer goes back as it came.

Bodies stream both ways, so their size costs no memory. What is changed: headers of one connection
(RFC 9110 §7.6.1) are left out, `X-Forwarded-*` are added, a `Location` of the app's own address
becomes ours, and a page gets one script more, for the overlay and live reload (`web.snippet`).
`Host` stays: the address that was asked is the one that signatures and links are made of.
"""

import asyncio
import time
from collections.abc import AsyncIterator, MutableSet
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from devserver import redact
from devserver.backend import Backend, BackendUnavailable, end_to_end
from devserver.traffic import BODY_KEPT, Exchange, Message, Tell, Way
from devserver.web import snippet

FRAME_LIMIT = 16 * 1024 * 1024
"""Bytes of one WebSocket message, either way."""
SLOW_SECONDS = 60.0
"""How long a client may let us wait for the next piece of its body."""
_SOCKET = frozenset({"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """To where, as whom; *tell* hears of each exchange.

    `public_url` is how others reach us, where that is not our own address.
    """

    backend: Backend
    tell: Tell
    public_url: str | None = None
    dashboard: str | None = None
    """Where pages find the overlay; None: they get no script of ours."""


@dataclass(slots=True)
class _Tee:
    """The first bytes of a body that went by, and its size."""

    kept: bytearray = field(default_factory=bytearray)
    size: int = 0

    def note(self, piece: bytes) -> None:
        self.size += len(piece)
        if (left := BODY_KEPT - len(self.kept)) > 0:
            self.kept += piece[:left]


async def forward(
    request: web.Request, proxy: Proxy, sockets: MutableSet[web.WebSocketResponse]
) -> web.StreamResponse:
    """The app's answer to *request*, or a page that says why there is none.

    *sockets* holds the WebSockets that are open, for whoever has to end them.
    """
    if not request.raw_path.startswith("/"):
        return web.Response(status=400, text="the request's target is no path\n")
    started = time.perf_counter()
    sent, got = _Tee(), _Tee()
    status, error = 0, ""
    headers: tuple[tuple[str, str], ...] = ()
    try:
        if _is_socket(request):
            socket = await _socket(request, proxy, sockets)
            status = socket.status
            return socket
        response, headers = await _stream(request, proxy, sent, got)
        status = response.status
        return response
    except BackendUnavailable as trouble:
        error, status = trouble.reason, trouble.status
        return unavailable(request, trouble, proxy)
    finally:
        proxy.tell(
            Exchange(
                way=Way.TO_US,
                method=request.method,
                url=request.raw_path,
                request=Message(tuple(request.headers.items()), bytes(sent.kept), sent.size),
                status=status,
                response=Message(headers, bytes(got.kept), got.size),
                ms=(time.perf_counter() - started) * 1000,
                who=request.headers.get("User-Agent", "").partition(" ")[0],
                error=error,
            )
        )


async def _stream(
    request: web.Request, proxy: Proxy, sent: _Tee, got: _Tee
) -> tuple[web.StreamResponse, tuple[tuple[str, str], ...]]:
    backend = proxy.backend
    await backend.awaited()
    headers = _onward(request, proxy)
    for length in request.headers.getall("Content-Length", ())[:1]:
        headers["Content-Length"] = length
    is_page = proxy.dashboard is not None and snippet.is_page(request)
    if is_page:
        headers.popall("Accept-Encoding", None)  # a script cannot be added to what is compressed
    try:
        async with backend.session.request(
            request.method,
            backend.address(request.raw_path),
            headers=headers,
            data=_pieces(request, sent) if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            extra = b""
            if is_page and snippet.fits(answer.status, answer.headers):
                extra = snippet.script(proxy.dashboard or "")
            response = _answering(request, answer, proxy, len(extra))
            await response.prepare(request)
            if request.method != "HEAD":
                await _pour(request, answer, response, got)
                if extra:
                    await response.write(extra)
            await response.write_eof()
            return response, tuple(answer.headers.items())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise backend.unavailable(error) from error


async def _pieces(request: web.Request, sent: _Tee) -> AsyncIterator[bytes]:
    """The body as it comes; a client that stops sending is cut."""
    while True:
        async with asyncio.timeout(SLOW_SECONDS):
            piece = await request.content.readany()
        if not piece:
            return
        sent.note(piece)
        yield piece


async def _pour(
    request: web.Request,
    answer: aiohttp.ClientResponse,
    response: web.StreamResponse,
    got: _Tee,
) -> None:
    """The app's body to the client; where the app breaks off, so do we, for the client to see."""
    pieces = answer.content.iter_any()
    while True:
        try:
            piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except (aiohttp.ClientError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
            return
        got.note(piece)
        await response.write(piece)


def _answering(
    request: web.Request, answer: aiohttp.ClientResponse, proxy: Proxy, more: int
) -> web.StreamResponse:
    """The head of the response; *more* bytes are added to the body."""
    headers = end_to_end(answer.headers.items())
    if (length := answer.headers.get("Content-Length", "")).isdecimal():
        headers["Content-Length"] = str(int(length) + more)
    if more:
        # What was stored before is a page without the script, or with one of another start.
        headers["Cache-Control"] = "no-cache"
        headers.popall("Accept-Ranges", None)
    if (location := headers.get("Location")) is not None:
        headers["Location"] = _ours(location, request, proxy)
    return web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)


def _ours(location: str, request: web.Request, proxy: Proxy) -> str:
    """A redirect to the app's own address is one to ours."""
    try:
        there, app = URL(location, encoded=True), URL(proxy.backend.url)
    except ValueError:
        return location
    if not there.absolute or there.origin() != app.origin():
        return location
    return f"{_scheme(request, proxy)}://{request.host}{there.raw_path_qs}" + (
        f"#{there.raw_fragment}" if there.raw_fragment else ""
    )


def _onward(request: web.Request, proxy: Proxy) -> CIMultiDict[str]:
    """The request's headers as the app gets them."""
    headers = end_to_end(request.headers.items())
    before = headers.popall("X-Forwarded-For", [])
    headers["X-Forwarded-For"] = ", ".join([*before, request.remote or "unknown"])
    headers["X-Forwarded-Host"] = request.host
    headers["X-Forwarded-Proto"] = _scheme(request, proxy)
    return headers


def _scheme(request: web.Request, proxy: Proxy) -> str:
    """That of the public URL for whoever came by its name; a tunnel ends TLS before us."""
    public = urlsplit(proxy.public_url or "")
    return public.scheme if public.netloc and public.netloc == request.host else "http"


def _is_socket(request: web.Request) -> bool:
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


async def _socket(
    request: web.Request, proxy: Proxy, sockets: MutableSet[web.WebSocketResponse]
) -> web.WebSocketResponse:
    """Join the client's WebSocket with one of the app's, until either ends."""
    backend = proxy.backend
    await backend.awaited()
    headers = _onward(request, proxy)
    for name in (*_SOCKET, "Sec-WebSocket-Protocol"):
        headers.popall(name, None)
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = tuple(filter(None, (each.strip() for each in offered.split(","))))
    try:
        app = await backend.session.ws_connect(
            backend.address(request.raw_path),
            headers=headers,
            protocols=protocols,
            max_msg_size=FRAME_LIMIT,
        )
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise backend.unavailable(error) from error
    async with app:
        chosen = (app.protocol,) if app.protocol else ()
        client = web.WebSocketResponse(protocols=chosen, max_msg_size=FRAME_LIMIT)
        await client.prepare(request)
        sockets.add(client)
        ways = {
            asyncio.create_task(_messages(client, app)),
            asyncio.create_task(_messages(app, client)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await client.close(code=_sendable(app.close_code), message=b"")
            await app.close(code=_sendable(client.close_code))
    return client


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _messages(source: _Socket, sink: _Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        else:
            return


def _sendable(code: int | None) -> int:
    """The close code to pass on: some only say how a connection ended (RFC 6455 §7.4.1)."""
    return code if code is not None and (1000 <= code <= 1003 or code >= 1007) else 1001


def unavailable(
    request: web.Request, trouble: BackendUnavailable, proxy: Proxy
) -> web.StreamResponse:
    """Why the app's answer is missing, as a page for people and as text for programs."""
    reason, remedy = redact.text(trouble.reason), redact.text(trouble.remedy)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    if "text/html" not in request.headers.get("Accept", ""):
        text = f"upm-dev: {reason}\n{remedy}\n"
        return web.Response(status=trouble.status, text=text, headers=headers)
    script = ""
    if proxy.dashboard is not None and snippet.is_page(request):
        script = snippet.script(proxy.dashboard).decode()
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; frame-src {proxy.dashboard or 'none'}"
        if script
        else "default-src 'none'"
    )
    what, _, command = remedy.partition(": ") if proxy.backend.command else (remedy, "", "")
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>The app does not answer</title>'
        f"<h1>The app does not answer</h1><p>{escape(reason)}.</p><p>{escape(what)}"
        + (f": <code>{escape(command)}</code>" if command else "")
        + f"</p><hr><p>upm-dev, on behalf of <code>{escape(request.raw_path)}</code></p>{script}"
    )
    return web.Response(status=trouble.status, text=html, content_type="text/html", headers=headers)

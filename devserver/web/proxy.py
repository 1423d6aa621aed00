"""Everything that is not ours goes to the app, as it came; its answer goes back as it came.

Bodies stream both ways, so their size costs no memory. What is changed: headers of one connection
(RFC 9110 §7.6.1) are left out, `X-Forwarded-*` are added (`web.forwarded`), a `Location` of the
app's own address becomes ours, and a page gets one script more, for the overlay and live reload
(`web.snippet`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, MutableSet
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape

import aiohttp
from aiohttp import web
from yarl import URL

from devserver import redact
from devserver.backend import Backend, BackendUnavailable, closing, end_to_end
from devserver.descriptor.visible import one_line
from devserver.traffic import BODY_KEPT, Exchange, Message, Tell, Way
from devserver.web import snippet, websocket
from devserver.web.forwarded import caller, from_app, onward, scheme
from devserver.web.hosts import OURS, allowed
from devserver.web.listen import SLOW_SECONDS


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


@dataclass(slots=True)
class _Seen:
    """What went by, for the inspector."""

    sent: _Tee = field(default_factory=_Tee)
    got: _Tee = field(default_factory=_Tee)
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    error: str = ""
    stalled: bool = False
    """The client does not get on with its body."""


async def forward(
    request: web.Request, proxy: Proxy, sockets: MutableSet[web.WebSocketResponse]
) -> web.StreamResponse:
    """The app's answer to *request*, or a page that says why there is none.

    *sockets* holds the WebSockets that are open, for whoever has to end them.
    """
    if not request.raw_path.startswith("/"):
        return web.Response(status=400, text="the request's target is no path\n")
    started = time.perf_counter()
    seen = _Seen()
    try:
        await proxy.backend.awaited()
        if websocket.is_wanted(request):
            headers = onward(request, proxy.public_url)
            response = await websocket.joined(request, proxy.backend, headers, sockets)
        else:
            response = await _stream(request, proxy, seen)
        seen.status = response.status
        return response
    except BackendUnavailable as trouble:
        seen.error, seen.status = trouble.reason, trouble.status
        return unavailable(request, trouble, proxy)
    finally:
        proxy.tell(
            Exchange(
                way=Way.TO_US,
                method=request.method,
                url=request.raw_path,
                request=Message(
                    tuple(request.headers.items()), bytes(seen.sent.kept), seen.sent.size
                ),
                status=seen.status,
                response=Message(seen.headers, bytes(seen.got.kept), seen.got.size),
                ms=(time.perf_counter() - started) * 1000,
                who=caller(request),
                error=seen.error,
            )
        )


async def _stream(request: web.Request, proxy: Proxy, seen: _Seen) -> web.StreamResponse:
    backend = proxy.backend
    headers = onward(request, proxy.public_url)
    for length in request.headers.getall("Content-Length", ())[:1]:
        headers["Content-Length"] = length
    if request.can_read_body:
        headers = closing(headers)
    is_page = proxy.dashboard is not None and snippet.is_page(request)
    if is_page:
        headers.popall("Accept-Encoding", None)  # a script cannot be added to what is compressed
    try:
        answer = await backend.session.request(
            request.method,
            backend.address(request.raw_path),
            headers=headers,
            data=_pieces(request, seen) if request.can_read_body else None,
            allow_redirects=False,
        )
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        if seen.stalled:
            seen.error = "the client did not go on with its body"
            text = "the body did not come in time\n"
            return web.Response(status=408, text=text, headers={"Connection": "close"})
        raise backend.unavailable(error) from error
    async with answer:
        if answer.status < 200:  # to whoever asked for no upgrade it would be the end of HTTP
            why = f"the app at {backend.url} answered {answer.status}, which nobody asked for"
            raise BackendUnavailable(why, remedy="see what it says in its own output")
        seen.headers = tuple(answer.headers.items())
        extra = b""
        if is_page and snippet.fits(answer):
            extra = snippet.script(proxy.dashboard or "")
        response = _answering(request, answer, proxy, len(extra))
        with suppress(ConnectionError):  # the client has left, and needs no answer
            await response.prepare(request)
            if request.method != "HEAD":
                await _pour(request, answer, response, seen)
                if extra:
                    await response.write(extra)
            await response.write_eof()
        return response


async def _pieces(request: web.Request, seen: _Seen) -> AsyncIterator[bytes]:
    """The body as it comes; a client that stops sending is cut."""
    while True:
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                piece = await request.content.readany()
        except TimeoutError:
            seen.stalled = True
            raise
        if not piece:
            return
        seen.sent.note(piece)
        yield piece


async def _pour(
    request: web.Request,
    answer: aiohttp.ClientResponse,
    response: web.StreamResponse,
    seen: _Seen,
) -> None:
    """The app's body to the client. Where the app breaks off, so do we, for the client to see;
    and one that does not take it in time is cut.
    """
    try:
        async for piece in answer.content.iter_any():
            seen.got.note(piece)
            async with asyncio.timeout(SLOW_SECONDS):
                await response.write(piece)
    except (aiohttp.ClientError, TimeoutError) as error:
        seen.error = f"broken off on the way ({type(error).__name__})"
        if request.transport is not None:
            request.transport.abort()


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
    return from_app(
        web.StreamResponse(
            status=answer.status, reason=one_line(answer.reason or ""), headers=headers
        ),
        headers,
    )


def _ours(location: str, request: web.Request, proxy: Proxy) -> str:
    """A redirect to the app's own address is one to ours, by whichever loopback name it goes."""
    app = URL(proxy.backend.url)
    try:
        there = URL(location, encoded=True)
        same = (there.scheme, there.port) == (app.scheme, app.port)
    except ValueError:  # its port, say, is looked at only now
        return location
    if not same or not (there.host == app.host or {there.host, app.host} <= OURS):
        return location
    return f"{scheme(request, proxy.public_url)}://{request.host}{there.raw_path_qs}" + (
        f"#{there.raw_fragment}" if there.raw_fragment else ""
    )


def unavailable(
    request: web.Request, trouble: BackendUnavailable, proxy: Proxy
) -> web.StreamResponse:
    """Why the app's answer is missing, as a page for people and as text for programs.

    Where the app is and what runs it is for whoever runs it: not for those who come by a tunnel.
    """
    near = allowed(request.host)
    reason = redact.text(trouble.reason) if near else "the app behind this address does not answer"
    remedy = redact.text(trouble.remedy) if near else "whoever runs it sees why in upm-dev"
    command = proxy.backend.command if near else None
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    if "text/html" not in request.headers.get("Accept", ""):
        text = f"upm-dev: {reason}\n{remedy}\n"
        return web.Response(status=trouble.status, text=text, headers=headers)
    script, output = "", ""
    if proxy.dashboard is not None and snippet.is_page(request):
        script = snippet.script(proxy.dashboard).decode()
        if command:
            there = escape(f"{proxy.dashboard}/?view=app")
            output = f' What it says: <a href="{there}">its output</a>.'
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; frame-src {proxy.dashboard or 'none'}"
        if script
        else "default-src 'none'"
    )
    what, _, shown = remedy.partition(": ") if command else (remedy, "", "")
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>The app does not answer</title>'
        f"<h1>The app does not answer</h1><p>{escape(_sentence(reason))}.</p>"
        f"<p>{escape(_sentence(what))}"
        + (f": <code>{escape(shown)}</code>" if shown else "")
        + f".{output}</p>"
        f"<hr><p>upm-dev, on behalf of <code>{escape(request.raw_path)}</code></p>{script}"
    )
    return web.Response(status=trouble.status, text=html, content_type="text/html", headers=headers)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]

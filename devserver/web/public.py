"""The public port: the descriptor, the callbacks it declares, and the app behind us.

A tunnel shows all of it to the world, so no state of ours, no action and no secret is on it.

- `GET|HEAD /atlassian-plugin.xml` (or the name the descriptor's kind is known by): the newest good
  bytes; with `?target=NAME&rev=DIGEST` exactly those bytes, so that a GET proves who took what.
- POSTs to a path that this or an earlier revision declares as a callback.
- `/_upm-dev/health`, and the script of the overlay (`web.snippet`).
- Everything else goes to the app; without one, `/` is a small page. (Until there is a good revision
  POSTs do not: they may be callbacks.)
"""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, MutableSet
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from devserver import __version__
from devserver.backend import end_to_end
from devserver.callbacks.call import said_in
from devserver.events import Bus, RequestServed
from devserver.model import CallbackSpec, Descriptor
from devserver.publish import ARTIFACTS, Artifacts, Published
from devserver.traffic import Exchange, Tell, Way, message
from devserver.web import snippet
from devserver.web.forwarded import as_it_came, caller, from_app
from devserver.web.hosts import guard

if TYPE_CHECKING:
    from devserver.web.proxy import Proxy

NAMES = frozenset({"/atlassian-plugin.xml", "/atlassian-connect.json", "/atlassian-remote-app.xml"})
BODY_LIMIT = 10 * 1024 * 1024
"""Bytes of a callback: larger ones are answered 413."""
BODY_SECONDS = 30.0
"""How long a callback's body may take to come."""
SMALL = 64 * 1024
"""Bytes of a callback that takes no place among the `LARGE_AT_ONCE`: hosts' own take one KB."""
LARGE_AT_ONCE = 8
"""Larger callbacks that are held in memory at once: anybody may send some. Others wait unread."""
HEADERS_LIMIT = 128 * 1024
"""Bytes of all headers of a request: cookies of `localhost` are those of all its ports together."""
OVERRIDES = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})
"""Headers by which many an app takes another method for POST."""
_REMOTE = "remote_plugin_"
NOSNIFF = {"X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Received:
    """What a callback is answered with: our own words, or the app's."""

    status: int
    text: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


Receive = Callable[[web.Request, CallbackSpec, bytes], Awaitable[Received]]
"""Verifies one callback and tells the Bus; never raises for what the caller sent."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the handlers of the public port work with."""

    published: Published
    bus: Bus
    receive: Receive
    proxy: "Proxy | None" = None
    tell: Tell = lambda _: None
    artifacts: Artifacts = field(default_factory=Artifacts)
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE))


SITE = web.AppKey("SITE", Site)
SOCKETS: "web.AppKey[MutableSet[web.WebSocketResponse]]" = web.AppKey("SOCKETS", weakref.WeakSet)
"""WebSockets between pages and the app, which would hold up the end."""


def public_app(site: Site, hosts: frozenset[str]) -> web.Application:
    """The application of the public port; *hosts* are names beside our own that may call us."""
    app = web.Application(middlewares=[modest, guard(hosts)], client_max_size=BODY_LIMIT)
    app[SITE] = site
    app[SOCKETS] = weakref.WeakSet()
    app.on_response_prepare.append(as_it_came)
    app.on_shutdown.append(hang_up)
    app.add_routes(
        [
            web.route(method, path, handler, expect_handler=expectation)
            for method, path, handler in (
                *(("*", name, descriptor) for name in sorted(NAMES)),
                ("GET", "/_upm-dev/health", health),
                ("GET", snippet.PATH, snippet.answer),
                ("GET", f"{ARTIFACTS}{{path:(?s:.*)}}", artifact),
                ("*", "/_upm-dev/{path:(?s:.*)}", nothing),
                ("*", "/{path:(?s:.*)}", anything_else),
            )
        ]
    )
    return app


@web.middleware
async def modest(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what has more headers than anybody needs: they are kept, to be looked at."""
    if sum(len(name) + len(value) for name, value in request.raw_headers) > HEADERS_LIMIT:
        return _text(431, "these headers are too large\n", Connection="close")
    return await handler(request)


async def descriptor(request: web.Request) -> web.Response:
    """The bytes that were asked for; each answer is an event, with the digest it carried."""
    started = time.perf_counter()
    target = request.query.get("target")
    rev = request.query.get("rev")
    found: Descriptor | None = None
    if request.method not in ("GET", "HEAD"):
        response = _text(405, "the descriptor can only be read\n", Allow="GET, HEAD")
    elif request.app[SITE].published.newest is None:
        response = _text(503, "there is no good revision of the descriptor yet\n")
    elif (found := request.app[SITE].published.lookup(target, rev)) is None:
        response = _text(404, "that revision of the descriptor is not kept (any more)\n")
    else:
        response = _bytes(request, found)
    site = request.app[SITE]
    body = response.body if isinstance(response.body, bytes) else b""
    site.tell(
        Exchange(
            way=Way.TO_US,
            method=request.method,
            url=request.path_qs,
            request=message(request.headers.items()),
            status=response.status,
            response=message(response.headers.items(), body),
            ms=(time.perf_counter() - started) * 1000,
            who=target or caller(request),
        )
    )
    site.bus.publish(
        RequestServed(
            who=target or caller(request),
            method=request.method,
            path=request.path_qs,
            status=response.status,
            digest=found.digest if found else None,
            target=target if found else None,
        )
    )
    return response


def _bytes(request: web.Request, found: Descriptor) -> web.Response:
    headers = {
        **NOSNIFF,
        "Content-Type": found.media_type,
        "ETag": f'"{found.digest}"',
        "Cache-Control": "no-cache",
    }
    tags = request.if_none_match or ()
    if any(tag.value in (found.digest, "*") for tag in tags):
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.body, headers=headers)


async def expectation(request: web.Request) -> None:
    """Tell a client that waits to be told to go on; nothing else can be expected of us."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the answer


async def health(request: web.Request) -> web.Response:
    newest = request.app[SITE].published.newest
    return web.json_response(
        {"status": "ok", "revision": newest.name if newest else None}, headers=NOSNIFF
    )


async def front_page(request: web.Request) -> web.Response:
    """Where one is, for somebody who opened the address in a browser."""
    newest = request.app[SITE].published.newest
    if newest is None:
        serving = "no good revision yet: the terminal shows what is wrong"
    else:
        serving = f"/{newest.first.file_name}  {newest.name}  sha256 {newest.digest}"
    return _text(200, f"upm-dev {__version__} serves an Atlassian app descriptor\n\n{serving}\n")


async def anything_else(request: web.Request) -> web.StreamResponse:
    """A callback where the descriptor declares one here; else the app's, where there is one."""
    site = request.app[SITE]
    specs = site.published.callbacks(request.path)
    if specs and (request.method == "POST" or not OVERRIDES.isdisjoint(_names(request))):
        return await callback(request, site, specs)
    if request.method == "POST" and site.published.newest is None:
        # It may be a callback: which paths those have, nobody knows yet.
        return _text(503, "there is no good revision of the descriptor yet: mend it first\n")
    if site.proxy is None:
        return await (front_page if request.path == "/" else nothing)(request)
    from devserver.web import proxy

    response = await proxy.forward(request, site.proxy, request.app[SOCKETS])
    site.bus.publish(
        RequestServed(
            who=caller(request),
            method=request.method,
            path=request.path_qs,
            status=response.status,
        )
    )
    return response


def _names(request: web.Request) -> set[str]:
    return {name.lower().replace("_", "-") for name in request.headers}


async def callback(
    request: web.Request, site: Site, specs: tuple[CallbackSpec, ...]
) -> web.Response:
    """What the host is answered; a caller that does not get on with its body is cut."""
    length = request.content_length
    async with AsyncExitStack() as held:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                if request.can_read_body and (length is None or length > SMALL):
                    await held.enter_async_context(site.large)
                body = await request.read()
        except TimeoutError:
            return _text(408, "the body did not come in time\n", Connection="close")
        received = await site.receive(request, _meant(specs, body), body)
    if not received.headers and not received.body:
        return _text(received.status, received.text)
    headers = end_to_end(received.headers)
    answer = web.Response(status=received.status, body=received.body, headers=headers)
    return from_app(answer, headers)


def _meant(specs: tuple[CallbackSpec, ...], body: bytes) -> CallbackSpec:
    """Which of the callbacks at one path this is, by what it says.

    A silent one, as all of the XML era are (upm-protocol.md §7.1), is that of an installation, for
    which we wait; where none is declared, the newest. That proves nothing: who called is the
    signature's to say.
    """
    if len(specs) == 1:
        return specs[0]
    said = said_in(body).get("eventType")
    # A webhook of the XML era is called remote_plugin_installed and may say "installed".
    for wanted in (said, "installed"):
        for each in specs:
            if wanted in (each.event, each.event.removeprefix(_REMOTE)):
                return each
    return specs[0]


async def artifact(request: web.Request) -> web.Response:
    """A JAR, while a target installs it; only the target was told its address."""
    data = request.app[SITE].artifacts.take(request.path)
    if data is None:
        return await nothing(request)
    headers = {**NOSNIFF, "Content-Type": "application/java-archive", "Cache-Control": "no-store"}
    return web.Response(body=data, headers=headers)


async def nothing(_: web.Request) -> web.Response:
    return _text(404, "nothing is served here\n")


async def hang_up(app: web.Application) -> None:
    """End what would not end by itself."""
    sockets = app[SOCKETS]
    for socket in tuple(sockets):
        await socket.close(code=1001, message=b"upm-dev stops")


def _text(status: int, text: str, **headers: str) -> web.Response:
    if status == 204:
        return web.Response(status=204, headers=NOSNIFF)
    return web.Response(status=status, text=text, headers={**NOSNIFF, **headers})

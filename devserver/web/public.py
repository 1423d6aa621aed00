"""The public port: the descriptor, the callbacks it declares, and nothing else.

A tunnel shows all of it to the world, so no state of ours, no action and no secret is on it.

- `GET|HEAD /atlassian-plugin.xml` (or the name the descriptor's kind is known by): the newest good
  bytes; with `?target=NAME&rev=DIGEST` exactly those bytes, so that a GET proves who took what.
- POSTs to a path that this or an earlier revision declares as a callback.
- `/_upm-dev/health`, and `/` as a small page.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from devserver import __version__
from devserver.events import Bus, RequestServed
from devserver.model import CallbackSpec, Descriptor
from devserver.publish import Published
from devserver.web.hosts import guard

NAMES = frozenset({"/atlassian-plugin.xml", "/atlassian-connect.json", "/atlassian-remote-app.xml"})
BODY_LIMIT = 10 * 1024 * 1024
"""Bytes of a callback: larger ones are answered 413."""
NOSNIFF = {"X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Received:
    """What a callback was answered with."""

    status: int
    text: str = ""


Receive = Callable[[web.Request, CallbackSpec, bytes], Awaitable[Received]]
"""Verifies one callback and tells the Bus; never raises for what the caller sent."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the handlers of the public port work with."""

    published: Published
    bus: Bus
    receive: Receive


SITE = web.AppKey("SITE", Site)


def public_app(site: Site, hosts: frozenset[str]) -> web.Application:
    """The application of the public port; *hosts* are names beside our own that may call us."""
    app = web.Application(middlewares=[guard(hosts)], client_max_size=BODY_LIMIT)
    app[SITE] = site
    app.add_routes(
        [
            *(web.route("*", name, descriptor) for name in sorted(NAMES)),
            web.get("/_upm-dev/health", health),
            web.get("/", front_page),
            web.route("*", "/{path:.*}", anything_else),
        ]
    )
    return app


async def descriptor(request: web.Request) -> web.Response:
    """The bytes that were asked for; each answer is an event, with the digest it carried."""
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
    request.app[SITE].bus.publish(
        RequestServed(
            who=_who(request, target),
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


def _who(request: web.Request, target: str | None) -> str:
    agent = request.headers.get("User-Agent", "")
    return target or agent.partition(" ")[0] or request.remote or "somebody"


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


async def anything_else(request: web.Request) -> web.Response:
    """A callback where the descriptor declares one here; else nothing."""
    spec = request.app[SITE].published.callback(request.path)
    if spec is not None and request.method == "POST":
        body = await request.read()
        received = await request.app[SITE].receive(request, spec, body)
        return _text(received.status, received.text)
    return _text(404, "nothing is served here\n")


def _text(status: int, text: str, **headers: str) -> web.Response:
    if status == 204:
        return web.Response(status=204, headers=NOSNIFF)
    return web.Response(status=status, text=text, headers={**NOSNIFF, **headers})

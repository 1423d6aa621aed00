"""Heads of requests and answers: who asks, what the app is told of it, its answer as it came.

`Host` stays: the address that was asked is the one that signatures and links are made of.
"""

from typing import TypeVar

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from devserver.addresses import is_loopback
from devserver.backend import end_to_end
from devserver.descriptor.visible import one_line

CALLER_LIMIT = 80
"""Characters of what a caller calls itself that are told."""
_Response = TypeVar("_Response", bound=web.StreamResponse)
_OURS = "x-forwarded-"
_CAME_WITH = web.ResponseKey("_CAME_WITH", frozenset[str])
"""The names, in lower case, of the headers that the app gave an answer."""


def onward(request: web.Request, public_url: str | None) -> CIMultiDict[str]:
    """The request's headers as the app gets them; `X-Forwarded-*` are in our words alone.

    A tunnel runs on this machine and knows for whom it asks, so its chain of addresses is
    continued; what others say of themselves is dropped, with a dash or an underscore: to a CGI or
    WSGI app they are the same.
    """
    headers = end_to_end(request.headers.items())
    before = headers.getall("X-Forwarded-For", [])
    for name in [each for each in headers if each.lower().replace("_", "-").startswith(_OURS)]:
        headers.popall(name, None)
    peer = request.remote or "unknown"
    headers["X-Forwarded-For"] = ", ".join([*(before if is_loopback(peer) else ()), peer])
    headers["X-Forwarded-Host"] = request.host
    headers["X-Forwarded-Proto"] = scheme(request, public_url)
    return headers


def caller(request: web.Request) -> str:
    """What the caller calls itself, in a word; else its address."""
    agent = one_line(request.headers.get("User-Agent", "")[:CALLER_LIMIT])
    return agent.partition(" ")[0] or request.remote or "somebody"


def scheme(request: web.Request, public_url: str | None) -> str:
    """That of the public URL for whoever came by its name; a tunnel ends TLS before us."""
    if public_url is None:
        return "http"
    public = URL(public_url)
    came = URL(f"{public.scheme}://{request.host}")
    return public.scheme if (came.host, came.port) == (public.host, public.port) else "http"


def from_app(response: _Response, headers: CIMultiDict[str]) -> _Response:
    """Mark *response* as the app's answer with these *headers*, for `as_it_came`."""
    response[_CAME_WITH] = frozenset(map(str.lower, headers))
    return response


async def as_it_came(_: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp adds: its own name, and a type where the app gave none.

    Browsers save to disk what is said to be of no type.
    """
    came_with = response.get(_CAME_WITH, frozenset({"content-type"}))
    for name in ("Content-Type", "Server"):
        if name.lower() not in came_with:
            response.headers.popall(name, None)

"""Which `Host` headers are ours: a page elsewhere that resolves its name to us is refused."""

import ipaddress
from collections.abc import Iterable
from string import ascii_letters, digits

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

_IN_HOST = frozenset(f"{ascii_letters}{digits}-._:[]")
OURS = frozenset({"localhost", "127.0.0.1", "::1"})


def allowed(host: str, extra: Iterable[str] = ()) -> bool:
    """Whether a `Host` header names us: any port, our loopback names, and those in *extra*.

    `*.localhost` is ours as well, since it never leaves the machine (RFC 6761 §6.3).
    """
    if not _IN_HOST.issuperset(host):  # more than a name and a port: userinfo, a path
        return False
    try:
        name = URL(f"http://{host}").host
    except ValueError:
        return False
    if not name:
        return False
    name = name.lower().rstrip(".")
    return name in OURS or name.endswith(".localhost") or name in frozenset(extra)


def names_of(*addresses: str | None) -> frozenset[str]:
    """The host names in *addresses*: URLs, names, or addresses; None and wildcards are skipped."""
    names = set()
    for address in addresses:
        if not address:
            continue
        name = URL(address).host if "//" in address else address.strip("[]")
        if name and not _is_wildcard(name):
            names.add(name.lower())
    return frozenset(names)


def _is_wildcard(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False


def guard(extra: frozenset[str]) -> Middleware:
    """A middleware that answers 421 to a `Host` that is not ours."""

    @web.middleware
    async def known_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Not `request.host`, which makes one up for a request that has none.
        if not allowed(request.headers.get("Host", ""), extra):
            return web.Response(
                status=421,
                text="upm-dev does not answer to this Host; allow it with --public-url or"
                " [server] allowed-hosts\n",
            )
        return await handler(request)

    return known_host

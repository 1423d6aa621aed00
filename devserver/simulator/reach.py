"""Which addresses the host may call: loopback, and what the user allowed; never link-local.

A name is resolved once, and the address that was judged is the address that is connected to.
"""

import ipaddress
import socket
from collections.abc import Iterable

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(OSError):
    """The host may not call this address."""


class Reach:
    """*networks*: what `--allow-fetch` named, beside loopback."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def allows(self, text: str) -> bool:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_link_local or address.is_multicast:
            return False
        return address.is_loopback or any(
            address.version == network.version and address in network for network in self._networks
        )

    def check(self, url: URL) -> None:
        """Raise Forbidden where the URL's host is an address that may not be called.

        Names are judged when they are resolved.
        """
        host = url.host or ""
        try:
            allowed = self.allows(host)
        except ValueError:
            return
        if not allowed:
            raise Forbidden(_forbidden(host))


class Resolver(AbstractResolver):
    """Resolves names to the allowed ones of their addresses."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._reach.allows(each["host"])]
        if found and not allowed:
            raise Forbidden(_forbidden(f"{host} ({found[0]['host']})"))
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def _forbidden(what: str) -> str:
    return f"{what} is not on this machine; --allow-fetch CIDR lets the simulated host call it"


def open_session(reach: Reach) -> ClientSession:
    """The session everything goes out by: no cookies, no proxy, no redirects of its own."""
    from aiohttp import DummyCookieJar

    connector = TCPConnector(
        resolver=Resolver(reach), use_dns_cache=False, limit=0, family=socket.AF_UNSPEC
    )
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=60, sock_connect=30, sock_read=30),
        headers={"User-Agent": "Apache-HttpClient/4.5.14 (Java/17.0.10)"},
    )

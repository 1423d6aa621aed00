"""Which proxy of the environment a target's requests go through, if any. Pure."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import aiohttp
from yarl import URL

from devserver.addresses import is_loopback
from devserver.errors import UsageError


def arguments(base: URL, environ: Mapping[str, str]) -> dict[str, Any]:
    """aiohttp's arguments for the proxy that the environment names for *base*, if any.

    Raises:
        UsageError: what it names is no URL.
    """
    if not any(name.lower().endswith("_proxy") for name in environ):
        return {}
    named = {
        name[:-6].lower(): value
        for name, value in sorted(environ.items())  # lower case last: that one counts, as with curl
        if name.lower().endswith("_proxy") and value
    }
    proxy = named.get(base.scheme) or named.get("all")
    if not proxy or _is_here(base.host or "") or _excepted(base, named.get("no", "")):
        return {}
    try:
        url = URL(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError as error:  # its text may repeat a password
        raise UsageError(
            f"the proxy that the environment names for {base.scheme}:// is no URL",
            remedy="it looks like HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT; or except the host: "
            f"NO_PROXY={base.host}",
        ) from error
    found: dict[str, Any] = {"proxy": url.with_user(None)}
    if url.user:
        secret = aiohttp.encode_basic_auth(url.user, url.password or "")
        found["proxy_headers"] = {"Proxy-Authorization": secret}
    return found


def _excepted(base: URL, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: by itself, a domain above it, its network, or with `*`.

    With a port it means that port alone.
    """
    host = base.host or ""
    for each in no_proxy.split(","):
        name, port = _named(each.strip().lower().removeprefix("*.").lstrip("."))
        if port and port != str(base.port):
            continue
        if name in ("*", host) or (name and host.endswith(f".{name}")) or _within(host, name):
            return True
    return False


def _named(exception: str) -> tuple[str, str]:
    """Host and port of an entry of NO_PROXY; an IPv6 address without brackets has no port."""
    if exception.startswith("["):
        name, _, port = exception[1:].partition("]")
        return name, port.removeprefix(":")
    if exception.count(":") > 1:
        return exception, ""
    name, _, port = exception.partition(":")
    return name, port


def _within(host: str, network: str) -> bool:
    """Whether *host* is an address in *network* (`10.0.0.0/8`)."""
    try:
        return "/" in network and ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _is_here(host: str) -> bool:
    """No proxy leads to this very machine: whoever sets one for the web means no localhost."""
    return host == "localhost" or is_loopback(host)

"""The query string hash that ties a JWT to one request (upm-protocol.md §7.3). Pure."""

import hashlib
from urllib.parse import quote, unquote_plus, urlsplit


def canonical(method: str, url: str, base_url: str) -> str:
    """The request as `METHOD&path&query`; the path counts from the path of *base_url*."""
    parts = urlsplit(url)
    base = urlsplit(base_url).path.rstrip("/")
    path = parts.path
    if base and (path == base or path.startswith(f"{base}/")):
        path = path[len(base) :]
    path = "/" + path.strip("/").replace("&", "%26")
    return f"{method.upper()}&{path}&{_query(parts.query)}"


def qsh(method: str, url: str, base_url: str) -> str:
    """The hash of the canonical request, hexadecimal."""
    return hashlib.sha256(canonical(method, url, base_url).encode()).hexdigest()


def _query(query: str) -> str:
    values: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair and unquote_plus(name) != "jwt":
            values.setdefault(_encoded(name), []).append(_encoded(value))
    return "&".join(f"{name}={','.join(sorted(values[name]))}" for name in sorted(values))


def _encoded(text: str) -> str:
    """RFC 3986: all but letters, digits and `-._~`, whatever way it came."""
    return quote(unquote_plus(text), safe="~")

"""What a URL says: base URLs as users paste them, origins, and which of them are this machine."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"(?=.{{1,254}}$){_LABEL}(?:\.{_LABEL})*\.?"
"""No resolver takes a label of more than 63 characters, or an empty one (RFC 1035 §2.3.4)."""
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*://"
_PORTS = {"http": 80, "https": 443}

_CLOUD = re.compile(r"(?:^|\.)(?:atlassian\.net|jira\.com|jira-dev\.com)$")

_BELOW_THE_BASE = (
    r"(?i)/(?:plugins/servlet|rest|secure|browse|display|pages|spaces|projects|issues|login"
    r"|dashboard"
    r"|[^/]+\.(?:jspa|jsp|action|vm))(?:/|$)"
)
"""Where a product's own pages begin, in the paths that people copy from a browser."""


class NotAnAddress(ValueError):
    """The text is no URL we can use; the message says why and never repeats user info."""


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, apart from the user info that came with it."""

    url: str
    """Scheme, host, port where it is not the usual one, context path; no trailing slash."""
    user: str | None = None
    secret: str | None = field(default=None, repr=False)


def parse(text: str, *, pasted: bool = False) -> Address:
    """The base URL in *text*; where it was *pasted* from a browser, what follows the base is cut.

    `http://h:2990/jira/plugins/servlet/upm?source=x` and `http://h:2990/jira/` are
    `http://h:2990/jira` (upm-protocol.md §11).

    Raises:
        NotAnAddress: it is no http or https URL.
    """
    parts = _split(text.strip())
    path = re.sub("//+", "/", parts.path)
    if pasted and (found := re.search(_BELOW_THE_BASE, path)):
        path = path[: found.start()]
    return Address(
        origin_of(parts, usual_port=False) + path.rstrip("/"),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def is_url(text: str) -> bool:
    """Whether *text* was meant as a URL: it has a scheme."""
    return re.match(_SCHEME, text.strip()) is not None


def origin(url: str) -> str:
    """Scheme, host and port: what a secret is bound to. `http://localhost:80`, always with a port.

    Raises:
        NotAnAddress: it is no http or https URL.
    """
    return origin_of(_split(url), usual_port=True)


def origin_of(parts: SplitResult, *, usual_port: bool) -> str:
    host = (parts.hostname or "").lower()
    port = parts.port or _PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    if port == _PORTS[parts.scheme] and not usual_port:
        return f"{parts.scheme}://{shown}"
    return f"{parts.scheme}://{shown}:{port}"


def name_for(url: str) -> str:
    """A short name for a target: its context path, else its host (`jira`, `localhost`)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    name = parts.path.rpartition("/")[2]
    if not name:
        name = host if _ip(host) else host.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "target"


def served_at(host: str | None, port: int) -> str:
    """The URL of what listens on *port* of *host*, for whoever is on this machine.

    `http://localhost:8000`, unless *host* is one address, or name, that localhost does not lead to.
    """
    name = (host or "").lower()
    address = _ip(name)
    if not name or name == "localhost":
        return f"http://localhost:{port}"
    if address is not None and (address.is_loopback or address.is_unspecified):
        return f"http://localhost:{port}"
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def is_cloud(url: str) -> bool:
    """Whether a URL's host is Atlassian's own Cloud, which takes no private installs."""
    return _CLOUD.search((urlsplit(url).hostname or "").rstrip(".")) is not None


def is_this_machine(url: str) -> bool:
    """Whether a URL's host is this very machine: a loopback name, or an address of its own.

    Names are not looked up: what a name leads to can change between the look and the request.
    """
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _ip(host)
    if address is None:
        return False
    return address.is_loopback or _is_ours(address)


def is_loopback(address: str) -> bool:
    """Whether it is an IP address that leads back to this machine; a name is none."""
    found = _ip(address)
    return found is not None and found.is_loopback


def _ip(host: str) -> "IPv4Address | IPv6Address | None":
    import ipaddress  # 4 ms, and `validate` asks for no address

    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_ours(address: "IPv4Address | IPv6Address") -> bool:
    """Only an address of this machine can be bound."""
    import socket

    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:  # not ours, or no such family here: that is the answer
        return False
    return True


def _split(text: str) -> SplitResult:
    if not is_url(text):
        raise NotAnAddress("is not a URL")
    if re.search(r"[\s\x00-\x1f\x7f\\]", text):
        raise NotAnAddress("has a blank, a backslash or a control character in it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise NotAnAddress(f"has no usable {'port' if 'ort' in str(exc) else 'host'}") from exc
    if parts.scheme not in _PORTS:
        raise NotAnAddress(f"is {parts.scheme}, not http or https")
    if port == 0:
        raise NotAnAddress("has no usable port")
    host = parts.hostname or ""
    if not (_ip(host) if ":" in host else re.fullmatch(_HOST, host)):
        raise NotAnAddress("has no usable host")
    return parts

"""How a UPM fetches a descriptor (upm-protocol.md §8): one GET, 301 and 302 only, only 200."""

import asyncio
import socket
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

from aiohttp import ClientConnectorError, ClientError, ClientSession
from yarl import URL

from devserver.simulator import refusal, spool
from devserver.simulator.artefact import file_name
from devserver.simulator.reach import Forbidden, Reach
from devserver.simulator.refusal import Refusal

ACCEPT = "application/octet-stream, application/java-archive, */*"
HOPS = 6


@dataclass(frozen=True, slots=True)
class Artefact:
    """What was fetched or uploaded; `file` stands at its beginning and is the caller's to close."""

    file: IO[bytes]
    name: str
    media_type: str
    """Without parameters, lower case; empty where it was not said."""


def unfit(uri: str) -> Refusal | None:
    """What a host says of a URI that is no absolute http(s) URL."""
    try:
        parts = urlsplit(uri)
        usable = URL(uri)
    except ValueError:
        return refusal.install("invalid.uri.syntax", "The URI is not valid.")
    if not parts.scheme:
        return refusal.install("invalid.relative.uri", "The URI is not absolute.")
    if parts.scheme not in ("http", "https"):
        # `file:` exists on a real host, but here it would read the developer's own disk.
        return refusal.install("unsupported.protocol", f"{parts.scheme}: is not supported.")
    if not usable.host:
        return refusal.install("invalid.uri.syntax", "The URI has no host.")
    return None


async def fetch(session: ClientSession, reach: Reach, uri: str) -> Artefact | Refusal:
    """GET *uri* by UPM's rules."""
    if no := unfit(uri):
        return no
    url = URL(uri)
    headers = {"Accept": ACCEPT, "X-Pac-Client-Info": "client=upm,version=simulated"}
    try:
        for _ in range(HOPS + 1):
            reach.check(url)
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status in (301, 302) and "Location" in response.headers:
                    url = url.join(URL(response.headers["Location"]))
                    headers.pop("X-Pac-Client-Info", None)
                    if no := unfit(str(url)):
                        return no
                    continue
                if response.status == 401:
                    return refusal.install("access.denied", f"{uri} answered 401.")
                if response.status != 200:
                    return _failed(f"{uri} answered {response.status}.")
                file = await spool.keep(response.content.iter_chunked(1 << 16))
                if file is None:
                    return _failed(f"{uri} is larger than {spool.LARGEST >> 20} MB.")
                media_type = response.headers.get("Content-Type", "").partition(";")[0]
                disposition = response.headers.get("Content-Disposition", "")
                kind = media_type.strip().lower()
                return Artefact(file, file_name(url.path, disposition, kind), kind)
        return _failed(f"{uri} redirects more than {HOPS} times.")
    except (ClientError, TimeoutError, OSError, ValueError, asyncio.IncompleteReadError) as error:
        return _failed(f"{uri} cannot be fetched: {_why(error)}.")


def _why(error: Exception) -> str:
    """What an administrator can make something of."""
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    match cause:
        case Forbidden():
            return str(cause)
        case TimeoutError():
            return "it did not answer in time"
        case ConnectionRefusedError():
            return "nobody listens there"
        case socket.gaierror():
            return "the name of the host is not known"
        case _:
            return str(cause) or type(cause).__name__


def _failed(why: str) -> Refusal:
    return refusal.install("response.exception", why)

"""The product that the SDK runs for a project: where it would answer, and whether it does."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from devserver.descriptor.maven import Pom

SDK: Mapping[str, tuple[int, str]] = {
    "jira": (2990, "/jira"),
    "confluence": (1990, "/confluence"),
    "refapp": (5990, "/refapp"),
    "bamboo": (6990, "/bamboo"),
    "bitbucket": (7990, "/bitbucket"),
    "stash": (7990, "/stash"),
    "crowd": (4990, "/crowd"),
    "fecru": (3990, "/fecru"),
}
"""Where the SDK starts each product (DESIGN §4)."""
SECONDS = 1.0
"""How long a product may take to answer; one that is starting takes longer, and counts as there."""
_PORT = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_ANSWERS = frozenset(b"200 301 302 307 401 403 500 502 503".split())
"""What a UPM, a login in front of it, or a product that is starting says."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a product may be."""

    product: str
    url: str


def places(pom: Pom | None) -> Iterator[Place]:
    """The pom's own place first, then the SDK's."""
    seen = set()
    for each in (*_of_pom(pom), *(Place(name, _url(*where)) for name, where in SDK.items())):
        if each.url not in seen:
            seen.add(each.url)
            yield each


def _of_pom(pom: Pom | None) -> Iterator[Place]:
    if pom is None or pom.product is None:
        return
    port, context = SDK.get(pom.product, (2990, f"/{pom.product}"))
    said = pom.settings.get("httpPort", "")
    port = int(said) if _PORT.fullmatch(said) and int(said) < 65536 else port
    context = pom.settings.get("contextPath", context).strip("/")
    context = "" if context.upper() == "ROOT" else context
    yield Place(pom.product, _url(port, f"/{context}" if context else ""))


def _url(port: int, context: str) -> str:
    return f"http://localhost:{port}{context}"


async def running(candidates: Iterable[Place]) -> Place | None:
    """The first of them that answers; all are asked at once."""
    listed = tuple(candidates)
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_answers(each)) for each in listed]
    return next((each for each, task in zip(listed, asked, strict=True) if task.result()), None)


async def _answers(place: Place) -> bool:
    """Whether there is a UPM at *place*, or something there that has not found its voice yet."""
    parts = urlsplit(place.url)
    request = (
        f"HEAD {parts.path}/rest/plugins/1.0/ HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "User-Agent: upm-dev\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except (OSError, TimeoutError):
        return False
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(request.encode())
            line = await reader.readline()
    except TimeoutError:
        return True
    except (OSError, ValueError):
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    words = line.split()
    return len(words) > 1 and line.startswith(b"HTTP/") and words[1] in _ANSWERS

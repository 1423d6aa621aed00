"""Asks the app for every page that the descriptor declares: what answers 404 there, or fails, is a
mistake that users would find first.

Once a revision, two at a time, by HEAD; never what hosts POST to, nor what needs a context we do
not have (`{issue.key}`).
"""

import asyncio
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from devserver.backend import Backend, BackendUnavailable
from devserver.events import Bus, Probed, Published
from devserver.model import Descriptor, Diagnostic, Kind, Position, Severity
from devserver.publish import Published as Kept
from devserver.reading import Shown

CODE = "A404"
MOST = 60
"""URLs that are asked of one revision."""
AT_ONCE = 2
PAUSE = 0.5
"""Seconds after a revision: saves come in groups, and the newest is enough."""
_NAMES = frozenset({"url", "link", "@url", "icon/url", "@href"})
_NOT_PAGES = frozenset({"webhook", "webhooks", "lifecycle", "web-hook", "remote-plugin-container"})


async def run(kept: Kept, bus: Bus, backend: Backend, shown: Callable[[], Shown | None]) -> None:
    """Probe each newest revision once the app answers, for ever."""
    with bus.reading(limit=100) as events:
        done = None
        while True:
            newest = kept.newest
            if newest is not None and newest.digest != done:
                await asyncio.sleep(PAUSE)
                await backend.awaited()
                newest = kept.newest or newest
                done = newest.digest
                found = await probe(newest.first, backend, shown())
                if found is not None:
                    bus.publish(Probed(revision=newest.name, asked=found[0], diagnostics=found[1]))
                continue
            async for event in events:
                if isinstance(event, Published):
                    break
            else:
                return


async def probe(
    descriptor: Descriptor, backend: Backend, shown: Shown | None
) -> tuple[int, tuple[Diagnostic, ...]] | None:
    """How many were asked, and a warning for each that is not there; None: the app is away."""
    paths = tuple(dict.fromkeys(pages(descriptor)))[:MOST]
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(path: str) -> int:
        async with gate:
            answer = await backend.send("HEAD", path, _HEADERS, b"")
            if answer.status in (405, 501):
                answer = await backend.send("GET", path, _HEADERS, b"")
            return answer.status

    try:
        statuses = await asyncio.gather(*(ask(each) for each in paths))
    except BackendUnavailable:
        return None
    found = [
        _warning(path, status, shown)
        for path, status in zip(paths, statuses, strict=True)
        if status == 404 or status >= 500
    ]
    return len(paths), tuple(found)


_HEADERS = (("User-Agent", "upm-dev probe"), ("Accept", "text/html, */*"))


def pages(descriptor: Descriptor) -> Iterator[str]:
    """The paths on the app that people would be sent to."""
    if descriptor.kind is Kind.P2:
        return
    base = urlsplit(descriptor.base_url or "").path.rstrip("/")
    for module in descriptor.modules:
        if module.type in _NOT_PAGES:
            continue
        for name, value in module.facts:
            last = name.rpartition("/")[2]
            if (last in _NAMES or name in _NAMES) and value.startswith("/") and "{" not in value:
                yield base + value.partition("#")[0]


def _warning(path: str, status: int, shown: Shown | None) -> Diagnostic:
    return Diagnostic(
        code=CODE,
        severity=Severity.WARNING,
        message=f"the app answers {status} for {path}",
        position=_place(path, shown),
        fix="let the app answer there, or correct the URL",
    )


def _place(path: str, shown: Shown | None) -> Position:
    """Where the descriptor says so: the first place in its text that holds the URL."""
    if shown is None:
        return Position("")
    for number, line in enumerate(shown.text.split("\n"), start=1):
        for candidate in (f'"{path}"', f">{path}<", path.replace("&", "&amp;")):
            if (at := line.find(candidate)) >= 0:
                offset = 0 if candidate.startswith("/") else 1
                return shown.place(number, at + 1 + offset)
    return shown.place(1, 1)

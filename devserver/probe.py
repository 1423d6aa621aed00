"""Asks the app for every page that the descriptor declares: what answers 404 there, or fails, is a
mistake that users would find first.

Once a revision, two at a time, by HEAD; again when the app was started anew and something was
missing. Never what hosts POST to, nor what needs a context we do not have (`{issue.key}`).
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from devserver.backend import Backend, BackendAway, BackendUnavailable
from devserver.events import AppChanged, AppState, Bus, Probed
from devserver.model import Descriptor, Diagnostic, Kind, Position, Severity
from devserver.publish import Published
from devserver.reading import Shown

CODE = "A404"
MOST = 60
"""URLs that are asked of one revision."""
AT_ONCE = 2
PAUSE = 0.5
"""Seconds after a revision: saves come in groups, and the newest is enough."""
AWAY = 5.0
"""Seconds until an app that was away is tried again: not every one is started by us."""
_NAMES = frozenset({"url", "link", "@url", "icon/url", "@href"})
_NOT_PAGES = frozenset({"webhook", "webhooks", "lifecycle", "web-hook", "remote-plugin-container"})
_HEADERS = (("User-Agent", "upm-dev probe"), ("Accept", "text/html, */*"))

_Found = tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Where people would be sent: its path on the app, and how the descriptor writes it."""

    path: str
    written: str


async def run(
    published: Published, bus: Bus, backend: Backend, shown: Callable[[], Shown | None]
) -> None:
    """Probe each newest revision once the app answers, for ever."""
    done: str | None = None
    found: _Found | None = None
    with bus.reading(limit=100) as events:
        while True:
            if published.newest is not None and published.newest.digest != done:
                await asyncio.sleep(PAUSE)
                await backend.awaited()
                newest = published.newest
                done = newest.digest
                asked = tuple(dict.fromkeys(pages(newest.first)))[:MOST]
                found = await probe(asked, backend, shown())
                if found is not None:
                    bus.publish(Probed(revision=newest.name, asked=len(asked), diagnostics=found))
            try:
                async with asyncio.timeout(AWAY if done and found is None else None):
                    event = await anext(events)
            except TimeoutError:
                done = None
            except StopAsyncIteration:
                return
            else:
                if found and isinstance(event, AppChanged) and event.state == AppState.READY:
                    done = None


async def probe(asked: Iterable[Page], backend: Backend, shown: Shown | None) -> _Found | None:
    """A warning for each page that is not there; None: the app is away."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(page: Page) -> Diagnostic | None:
        async with gate:
            trouble = await _trouble(page.path, backend)
        return _warning(page, trouble, shown) if trouble else None

    away = False
    asking: list[asyncio.Task[Diagnostic | None]] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            asking += [tasks.create_task(ask(each)) for each in asked]
    except* BackendAway:
        away = True
    return None if away else tuple(filter(None, (each.result() for each in asking)))


async def _trouble(path: str, backend: Backend) -> str | None:
    """What is wrong with the app's answer for *path*, asked by HEAD, and by GET if that fails."""
    trouble = None
    for method in ("HEAD", "GET"):
        try:
            status = (await backend.send(method, path, _HEADERS, b"")).status
        except BackendAway:
            raise
        except BackendUnavailable as unavailable:
            return unavailable.reason
        if status < 500 and status not in (404, 405):
            return None
        trouble = f"the app answers {status}"
    return trouble


def pages(descriptor: Descriptor) -> Iterator[Page]:
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
                yield Page(base + value.partition("#")[0], value)


def _warning(page: Page, trouble: str, shown: Shown | None) -> Diagnostic:
    return Diagnostic(
        code=CODE,
        severity=Severity.WARNING,
        message=f"{trouble} for {page.path}",
        position=_place(page.written, shown),
        fix="let the app answer there, or correct the URL",
    )


def _place(written: str, shown: Shown | None) -> Position:
    """Where the descriptor says so: the first place in its text that holds this URL alone."""
    if shown is None:
        return Position("")
    spellings = "|".join(map(re.escape, {written, escape(written, quote=False)}))
    url = re.compile(rf"""(?<=["'>\s])(?:{spellings})(?=["'<\s])""")
    for number, line in enumerate(shown.text.split("\n"), start=1):
        if (at := url.search(line)) is not None:
            return shown.place(number, at.start() + 1)
    return shown.place(1, 1)

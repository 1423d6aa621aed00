"""Exchanges and callbacks as one list, without their secrets: all that leaves here may be shown."""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import islice

from devserver.callbacks.call import Explanation
from devserver.callbacks.record import Recorded
from devserver.model import Verdict
from devserver.redact import Redactor
from devserver.traffic import Exchange, Message, Way
from devserver.web.dashboard.desk import Desk, Look

NAME = re.compile(r"[cx][0-9]{1,12}")
"""Of an item: `c12`, a callback; `x34`, any other exchange."""
LISTED = 150
BODY_SHOWN = 64 * 1024
"""Bytes of a body on a page."""

_LAST_WORD = re.compile(r"""["'&;,<>\s][^"'&;,<>\s]*\Z""")
"""What a body breaks off in: half a secret is known by nothing."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A request and its answer, as text that holds no secret."""

    name: str
    """As `NAME` has it."""
    kind: str
    time: datetime
    who: str
    method: str
    url: str
    status: int
    ms: float
    event: str = ""
    verdict: Verdict | None = None
    reason: str = ""
    error: str = ""
    explanation: Explanation | None = None
    headers: Headers = ()
    body: str = ""
    size: int = 0
    answer_headers: Headers = ()
    answer: str = ""
    answer_size: int = 0
    mime: str = ""
    answer_mime: str = ""

    @property
    def is_callback(self) -> bool:
        return self.name.startswith("c")

    @property
    def brief(self) -> str:
        """What a list calls it."""
        if self.event or self.kind != Way.TO_TARGET.value:
            return self.event or self.url
        return "/" + self.url.partition("://")[2].partition("/")[2]

    def at(self, base: str) -> str:
        """Its whole address, where we are at *base*."""
        ours = self.kind != Way.TO_TARGET.value and self.url.startswith("/")
        return base.rstrip("/") + self.url if ours else self.url

    @property
    def failed(self) -> bool:
        return self.status >= 400 or self.status == 0

    @property
    def can_replay(self) -> bool:
        return self.is_callback or self.kind == Way.TO_US.value


WAYS = frozenset(Way)
KINDS = {Way.TO_US.value: "in", Way.TO_TARGET.value: "out", Way.REPLAY.value: "callbacks"}


def items(desk: Desk, look: Look, most: int = LISTED, ways: Collection[Way] = WAYS) -> list[Item]:
    """Those that the page asks for, newest first, without headers and bodies.

    No more of them than it takes is made ready: a page is drawn several times a save.
    """
    words = look.search.lower().split()
    callbacks: Iterable[Item] = ()
    if look.only in ("", "callbacks"):
        newest = desk.record.newest(LISTED if words else most)
        callbacks = (_callback(each, desk.redactor) for each in newest)
    exchanges = (
        _exchange(each, desk.redactor)
        for each in reversed(tuple(desk.traffic))
        if each.way in ways and (not look.only or KINDS[each.way.value] == look.only)
    )
    found = merge(callbacks, exchanges, key=lambda each: each.time, reverse=True)
    fitting = (each for each in found if all(word in _searched(each) for word in words))
    return list(islice(fitting, most))


def item(desk: Desk, name: str) -> Item | None:
    """One of them, whole."""
    if not NAME.fullmatch(name):
        return None
    number = int(name[1:])
    if name.startswith("c"):
        recorded = desk.record.find(number)
        return _callback(recorded, desk.redactor, whole=True) if recorded else None
    exchange = desk.traffic.find(number)
    return _exchange(exchange, desk.redactor, whole=True) if exchange else None


def replays(desk: Desk, name: str) -> list[Item]:
    """What the app answered when *name* was sent to it again, newest first."""
    found = [_exchange(each, desk.redactor) for each in desk.traffic if each.replays == name]
    return found[::-1]


def _searched(each: Item) -> str:
    verdict = each.verdict.value if each.verdict else ""
    return f"{each.method} {each.url} {each.status} {each.who} {each.event} {verdict}".lower()


def _callback(recorded: Recorded, redactor: Redactor, *, whole: bool = False) -> Item:
    finding = recorded.finding
    explanation = finding.explanation
    if explanation is not None:
        theirs = explanation.theirs
        explanation = Explanation(
            ours=redactor.text(explanation.ours),
            theirs=None if theirs is None else redactor.text(theirs),
            cause=redactor.text(explanation.cause),
        )
    listed = Item(
        name=f"c{recorded.number}",
        kind="callback",
        time=recorded.time,
        who=finding.target or "nobody we know",
        method=recorded.method,
        url=redactor.text(recorded.path),
        status=recorded.status,
        ms=recorded.ms,
        event=finding.event,
        verdict=finding.verdict,
        reason=redactor.text(finding.reason or ""),
        error=redactor.text(recorded.error),
        explanation=explanation,
    )
    if not whole:
        return listed
    request = Message(recorded.headers, recorded.body, len(recorded.body))
    answer = Message(recorded.answer_headers, recorded.answer, len(recorded.answer))
    return _whole(listed, request, answer, redactor)


def _exchange(exchange: Exchange, redactor: Redactor, *, whole: bool = False) -> Item:
    listed = Item(
        name=f"x{exchange.number}",
        kind=exchange.way.value,
        time=exchange.time,
        who=redactor.text(exchange.who),
        method=exchange.method,
        url=redactor.text(exchange.url),
        status=exchange.status,
        ms=exchange.ms,
        error=redactor.text(exchange.error),
    )
    if not whole:
        return listed
    return _whole(listed, exchange.request, exchange.response, redactor)


def _whole(listed: Item, request: Message, answer: Message, redactor: Redactor) -> Item:
    return replace(
        listed,
        headers=tuple(_headers(request.headers, redactor)),
        body=body_text(request, redactor),
        size=request.size,
        mime=request.header("Content-Type"),
        answer_headers=tuple(_headers(answer.headers, redactor)),
        answer=body_text(answer, redactor),
        answer_size=answer.size,
        answer_mime=answer.header("Content-Type"),
    )


def _headers(pairs: Iterable[tuple[str, str]], redactor: Redactor) -> Iterator[tuple[str, str]]:
    for name, value in pairs:  # one by one: a name may stand there twice
        yield from redactor.headers({name: value}).items()


def body_text(body: Message, redactor: Redactor) -> str:
    """The body for people: JSON in lines, text as it is, of anything else its beginning."""
    # Cut first: anybody may send much, and a page is drawn again and again.
    beginning = body.body[:BODY_SHOWN]
    is_whole = len(beginning) == body.size
    try:
        text = getincrementaldecoder("utf-8")().decode(beginning, final=is_whole)
    except UnicodeDecodeError:
        encoding = body.header("Content-Encoding")
        what = f"{encoding} " if encoding else ""
        return f"{body.size} bytes of {what}binary data, beginning {body.body[:32].hex(' ')}"
    if not is_whole:
        return redactor.text(_LAST_WORD.sub("", text))
    try:
        lines = json.dumps(redactor.document(json.loads(text)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return redactor.text(text)
    # Half a surrogate pair is JSON, but no text.
    return lines.encode(errors="replace").decode()

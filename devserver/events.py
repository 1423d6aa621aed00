"""What happened, as frozen events; the Bus that carries them; State, which is folded from them.

The classes are the lines of `--json` (docs/events.md): `type` names the event, the other fields
are the dataclass's, absent where they are None. Fields are only ever added.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from devserver.model import Change, Diagnostic, Proof, Severity, TargetState, Verdict

VERSION = 1
"""Of the event format: raised when a field changes its meaning, which none should."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    type: ClassVar[str]
    time: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """The ports are open and the first look is about to be taken.

    `urls` has `descriptor`, and `dashboard` and `app` where there are such; `targets` maps names to
    URLs; `ready_ms` counts from the start of the process.
    """

    type = "started"
    urls: Mapping[str, str]
    targets: Mapping[str, str]
    ready_ms: int
    watcher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Event):
    """A look found other content than the one before."""

    type = "changed"
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered(Event):
    type = "rendered"
    revision: str
    digest: str
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Event):
    """What the rules found; `revision` is None where nothing could be rendered.

    Errors are told with the first of these events for a revision; warnings may follow in a second
    one, once the install is on its way.
    """

    type = "checked"
    revision: str | None
    errors: int
    warnings: int
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld(Event):
    """The newest edit has errors; `serving` is the revision that stays served and registered."""

    type = "withheld"
    serving: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Event):
    type = "published"
    revision: str
    digest: str
    url: str
    diff: tuple[Change, ...] = ()
    impact: str | None = None
    """What the change means: `none`, `re-register`, `needs admin approval` or `breaking`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChanged(Event):
    """A target's attempt at a revision reached a state; `ms` counts from the look that saw it."""

    type = "target"
    target: str
    state: TargetState
    attempt: int
    revision: str | None = None
    digest: str | None = None
    ms: int | None = None
    by: Proof | None = None
    code: str | None = None
    reason: str | None = None
    remedy: str | None = None
    retry_in: float | None = None

    @property
    def is_out(self) -> bool:
        """Whether the target has answered the request to install, or is sent none for now."""
        return self.state not in (TargetState.WAITING, TargetState.REGISTERING)

    @property
    def is_over(self) -> bool:
        """Whether the attempt has ended, one way or the other."""
        return self.state not in _TRYING and self.state is not TargetState.INSTALLED


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestServed(Event):
    """Somebody asked our public port. `who` is a target's name where the URL said so."""

    type = "request"
    who: str
    method: str
    path: str
    status: int
    digest: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChanged(Event):
    """The backend that `[app] command` starts: `state` is one of `AppState`."""

    type = "app"
    state: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOutput(Event):
    """What the app wrote to stdout or stderr: whole lines."""

    type = "output"
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed(Event):
    """The app was asked for each URL that the revision declares; what is not there is a warning."""

    type = "probed"
    revision: str
    asked: int
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReceived(Event):
    """A host called a path that the descriptor declares; `reason` says why it is not genuine."""

    type = "callback"
    target: str | None
    event: str
    verdict: Verdict
    status: int
    ms: float
    path: str
    key: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLogged(Event):
    """What the product logged about our app while it installed `revision`; `file` is its log."""

    type = "log"
    target: str
    revision: str
    file: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """The user lets saves wait: they are checked, and go nowhere; or goes on with the newest."""

    type = "paused"
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something the user should know that is no diagnostic and belongs to no attempt."""

    type = "notice"
    severity: Severity
    message: str
    remedy: str | None = None
    target: str | None = None
    code: str | None = None
    """Of a target's refusal, where that is what it tells: `upm-dev explain CODE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """The last event. `left` names what stays installed, as `target: key`."""

    type = "stopped"
    exit_code: int
    left: tuple[str, ...] = ()


def to_json(event: Event) -> dict[str, Any]:
    """The event as one line of `--json` holds it."""
    stamp = event.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, Any] = {"v": VERSION, "type": event.type, "time": stamp}
    for each in fields(event):
        if each.name != "time" and (value := getattr(event, each.name)) is not None:
            document[each.name] = plain(value)
    return document


def diagnostic_to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The shape of a diagnostic in `checked` and in `validate --format json`."""
    position = diagnostic.position
    document: dict[str, Any] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": position.file,
        "line": position.line,
        "column": position.column,
        "fix": diagnostic.fix,
    }
    if diagnostic.notes:
        document["notes"] = list(diagnostic.notes)
    return document


def plain(value: Any) -> Any:
    """A value of these events as `json.dumps` takes it."""
    match value:
        case Diagnostic():
            return diagnostic_to_json(value)
        case StrEnum():
            return value.value
        case Change():
            change: dict[str, Any] = {
                "kind": value.kind.value,
                "type": value.type,
                "key": value.key,
            }
            if value.was is not None:
                change["was"] = value.was
            if value.facts:
                change["facts"] = [
                    {"path": fact.path, "old": fact.old, "new": fact.new} for fact in value.facts
                ]
            return change
        case Mapping():
            return {name: plain(each) for name, each in value.items()}
        case tuple() | list():
            return [plain(each) for each in value]
        case float():
            return round(value, 1)
        case _:
            return value


class Reader:
    """One subscriber's queue; iterating ends when the Bus closes."""

    def __init__(self, limit: int | None) -> None:
        self._waiting: deque[Event] = deque(maxlen=limit)
        self._fresh = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        self._waiting.append(event)
        self._fresh.set()

    def close(self) -> None:
        self._closed = True
        self._fresh.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._fresh.clear()
            await self._fresh.wait()
        return self._waiting.popleft()


class Bus:
    """Carries events to whoever subscribed; publishing never waits for a reader.

    `state` is always the fold of everything published. A reader with a `limit` loses its oldest
    events when it is slow (and can take `state` instead); one without gets every event. A
    *listener* is called at once, in order, before `publish` returns: it must be quick and never
    raise.
    """

    def __init__(self, state: "State | None" = None) -> None:
        self.state = state or State()
        self._readers: list[Reader] = []
        self._listeners: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        self.state = apply(self.state, event)
        for listener in tuple(self._listeners):
            listener(event)
        for reader in self._readers:
            reader.put(event)

    @contextmanager
    def reading(self, *, limit: int | None = None) -> Iterator[Reader]:
        """Subscribe while the block runs."""
        reader = Reader(limit)
        self._readers.append(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Have *listener* called with every event while the block runs."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def until(self, wanted: Callable[[Event], bool], within: float) -> bool:
        """Wait, at most *within* seconds, for an event that is *wanted*; False: none came."""
        try:
            async with asyncio.timeout(within):
                with self.reading() as events:
                    async for event in events:
                        if wanted(event):
                            return True
        except TimeoutError:
            pass
        return False

    def close(self) -> None:
        """End every reader once it has read what is there."""
        for reader in self._readers:
            reader.close()


KEPT = 200
"""How many requests and callbacks the state remembers."""
KEPT_LINES = 500
"""How many lines of the app's output."""
KEPT_TIMES = 50
"""How many times from a save to its confirmation."""
FIRST = "r1"
"""The revision that is there at the start: nobody saved it meanwhile."""


class AppState(StrEnum):
    """Where the app that `[app] command` starts is."""

    BLOCKED = "blocked"
    """Somebody else answers at its port: it is started once that is free."""
    STARTING = "starting"
    READY = "ready"
    """Its port answers."""
    RUNNING = "running"
    """It runs; no backend is set, so nobody knows whether it answers."""
    CRASHED = "crashed"
    STOPPED = "stopped"


_TRYING = frozenset(
    {
        TargetState.WAITING,
        TargetState.REGISTERING,
        TargetState.ACCEPTED,
        TargetState.FETCHED,
    }
)
"""Between two failures of the same kind."""


@dataclass(frozen=True, slots=True)
class TargetView:
    """What is known of one target: its newest event, and what it runs as far as was proved."""

    name: str
    url: str
    last: TargetChanged | None = None
    confirmed: str | None = None
    """The revision it was last proved to run."""
    path: tuple[TargetChanged, ...] = ()
    """What became of the newest attempt so far, in order."""
    trouble: TargetChanged | None = None
    """Why it could not be had when it was last tried; None once a try came through."""

    @property
    def state(self) -> TargetState:
        return self.last.state if self.last else TargetState.WAITING


@dataclass(frozen=True, slots=True)
class State:
    """Everything a face shows. Immutable: `apply` makes the next one."""

    started: Started | None = None
    rendered: Rendered | None = None
    checked: Checked | None = None
    published: Published | None = None
    withheld: bool = False
    paused: bool = False
    """Saves wait, at the user's word."""
    targets: Mapping[str, TargetView] = field(default_factory=dict)
    requests: tuple[RequestServed, ...] = ()
    callbacks: tuple[CallbackReceived, ...] = ()
    notices: tuple[Notice, ...] = ()
    logs: tuple[HostLogged, ...] = ()
    app: AppChanged | None = None
    output: tuple[str, ...] = ()
    """The app's last lines."""
    probed: Probed | None = None
    times: tuple[int, ...] = ()
    """Milliseconds from a save to its confirmation, newest last."""
    history: tuple[Published, ...] = ()
    """The last revisions, newest last."""
    stopped: Stopped | None = None

    def with_target(self, event: TargetChanged) -> Self:
        view = self.targets.get(event.target, TargetView(event.target, ""))
        confirmed = view.confirmed
        if event.state is TargetState.CONFIRMED:
            confirmed = event.revision
        elif event.state is TargetState.UNREGISTERED:
            confirmed = None
        path = view.path
        if view.last and (view.last.revision, view.last.attempt) != (event.revision, event.attempt):
            path = ()
        view = replace(view, last=event, confirmed=confirmed, path=(*path, event)[-KEPT_TIMES:])
        if event.state is TargetState.UNAVAILABLE:
            view = replace(view, trouble=event)
        elif event.state not in _TRYING:
            view = replace(view, trouble=None)
        times = self.times
        saved = event.revision != FIRST and event.by is not Proof.UNCHANGED
        if event.state is TargetState.CONFIRMED and saved and event.ms:
            times = (*times, event.ms)[-KEPT_TIMES:]
        return replace(self, targets={**self.targets, event.target: view}, times=times)


def apply(state: State, event: Event) -> State:  # noqa: C901 - a case an event
    """The state after *event*. Pure."""
    match event:
        case Started():
            targets = {name: TargetView(name, url) for name, url in event.targets.items()}
            return replace(state, started=event, targets={**targets, **state.targets})
        case Rendered():
            return replace(state, rendered=event)
        case Checked():
            return replace(state, checked=event, withheld=state.withheld and event.errors > 0)
        case Withheld():
            return replace(state, withheld=True)
        case Published():
            history = (*state.history, event)[-KEPT_TIMES:]
            return replace(state, published=event, withheld=False, history=history)
        case TargetChanged():
            return state.with_target(event)
        case RequestServed():
            return replace(state, requests=(*state.requests, event)[-KEPT:])
        case CallbackReceived():
            return replace(state, callbacks=(*state.callbacks, event)[-KEPT:])
        case Notice():
            return replace(state, notices=(*state.notices, event)[-KEPT:])
        case Paused():
            return replace(state, paused=event.paused)
        case HostLogged():
            return replace(state, logs=(*state.logs, event)[-KEPT:])
        case AppChanged():
            return replace(state, app=event)
        case AppOutput():
            return replace(state, output=(*state.output, *event.lines)[-KEPT_LINES:])
        case Probed():
            return replace(state, probed=event)
        case Stopped():
            return replace(state, stopped=event)
        case _:
            return state

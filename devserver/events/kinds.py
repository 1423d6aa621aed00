"""The events: one frozen class for each thing that can happen.

They are the lines of `--json` (docs/events.md): `type` names the event, the other fields are the
dataclass's, absent where they are None. Fields are only ever added.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar

from devserver.model import Change, Diagnostic, Proof, Severity, TargetState, Verdict

TRYING = frozenset(
    {
        TargetState.WAITING,
        TargetState.REGISTERING,
        TargetState.ACCEPTED,
        TargetState.FETCHED,
    }
)
"""The states of an attempt that may still come to either end."""


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
        return self.state not in TRYING and self.state is not TargetState.INSTALLED


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

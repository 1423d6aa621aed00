"""Everything a face shows, folded from the events: pure, so that no two faces can disagree."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from devserver.events.kinds import (
    TRYING,
    AppChanged,
    AppOutput,
    AppState,
    CallbackReceived,
    Checked,
    Event,
    HostLogged,
    Notice,
    Paused,
    Probed,
    Published,
    Rendered,
    RequestServed,
    Started,
    Stopped,
    TargetChanged,
    Withheld,
)
from devserver.model import Proof, TargetState

KEPT = 200
"""How many requests and callbacks the state remembers."""
KEPT_LINES = 500
"""How many lines of the app's output."""
KEPT_TIMES = 50
"""How many times from a save to its confirmation."""
STARTED_AGAIN = "── started again ──"
"""Stands in the app's output between what two runs said."""
FIRST = "r1"
"""The revision that is there at the start: nobody saved it meanwhile."""


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
        elif event.state not in TRYING:
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
            output = state.output
            if event.state == AppState.STARTING and output:
                output = (*output, STARTED_AGAIN)[-KEPT_LINES:]
            return replace(state, app=event, output=output)
        case AppOutput():
            return replace(state, output=(*state.output, *event.lines)[-KEPT_LINES:])
        case Probed():
            return replace(state, probed=event)
        case Stopped():
            return replace(state, stopped=event)
        case _:
            return state

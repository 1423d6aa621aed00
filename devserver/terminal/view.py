"""What an event looks like on a terminal: lines, from the event and the state before it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from devserver import __version__
from devserver.descriptor.diff import sentence
from devserver.descriptor.visible import one_line, visible
from devserver.events import (
    AppChanged,
    AppOutput,
    CallbackReceived,
    Changed,
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
    State,
    Stopped,
    TargetChanged,
    Withheld,
)
from devserver.model import ChangeKind, Diagnostic, Proof, Severity, TargetState, Verdict

Frames = Callable[[tuple[Diagnostic, ...]], str]
"""Diagnostics as text with code frames: made by the caller, who has the files."""

NAMED = 5
"""How many paths, changes or warnings a line or a save names; the rest is counted. `-v`: all."""
PATIENCE = 5.0
"""A target that stays away for the same reason is named again only before waits this long."""

_URLS = {"descriptor": "Descriptor", "dashboard": "Dashboard", "app": "App"}

_PROGRESS = frozenset(
    {
        TargetState.WAITING,
        TargetState.REGISTERING,
        TargetState.ACCEPTED,
        TargetState.FETCHED,
        TargetState.INSTALLED,
    }
)
"""On the path: shown with -v alone, since the end of the path is what counts."""

_TOLD = ("needs admin approval", "breaking")
"""What a change means for whoever runs the app, where that is more than registering again."""
_TINTS = {
    TargetState.CONFIRMED: "green",
    TargetState.REFUSED: "red",
    TargetState.REJECTED: "red",
    TargetState.UNCONFIRMED: "yellow",
    TargetState.UNAVAILABLE: "yellow",
    TargetState.DRIFTED: "yellow",
    TargetState.RESTART_NEEDED: "yellow",
}
_ALARMING = ("ERROR", "FATAL", "WARN", "Exception", "Caused by")
"""In a product's log."""
_SEVERITIES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the user wants to see events.

    `quiet` shows only what went wrong; `verbose` 1 adds each step and each request.
    """

    frames: Frames
    colour: bool = False
    verbose: int = 0
    quiet: bool = False
    keys: bool = False
    """Somebody can type: say that there is something to type."""
    keeps: bool = False
    """The app stays installed at the end."""
    once: bool = False
    """It ends by itself: nobody need be told how."""

    def lines(self, event: Event, before: State) -> list[str]:  # noqa: C901 - a case an event
        """What to write for *event*; *before* is the state without it."""
        match event:
            case Started():
                return [] if self.quiet else self._banner(event)
            case Changed():
                return self._changed(event)
            case Rendered():
                return self._detail(event, f"{event.revision}  rendered in {event.ms:.1f} ms")
            case Checked():
                return self._checked(event)
            case Withheld():
                return self._withheld(event, before)
            case Published():
                return self._published(event)
            case TargetChanged():
                return self._target(event, before)
            case RequestServed():
                return self._request(event)
            case CallbackReceived():
                return self._callback(event)
            case AppChanged():
                return self._app(event)
            case AppOutput():
                return self._output(event)
            case Probed():
                return self._probed(event, before)
            case HostLogged():
                return self._log(event)
            case Paused():
                return self._paused(event)
            case Notice():
                return self._notice(event)
            case Stopped():
                return self._stopped(event, before)
            case _:  # an event of a later version: nothing is better than a guess
                return []

    def _banner(self, event: Started) -> list[str]:
        name = self._paint("upm-dev", fg="green", bold=True)
        lines = ["", f"  {name} {__version__}  ready in {event.ready_ms} ms", ""]
        width = max(map(len, (*_URLS.values(), *event.targets)))
        for kind, url in event.urls.items():
            label = _URLS.get(kind, kind).ljust(width)
            lines.append(f"  {self._dim('>')} {label}  {self._paint(one_line(url), fg='cyan')}")
        lines += [
            f"  {self._dim('>')} {one_line(target).ljust(width)}  {one_line(url)}"
            f"  {self._dim('registering')}"
            for target, url in event.targets.items()
        ]
        watching = f", watching by {one_line(event.watcher)}" if self.verbose else ""
        if self.once:
            return [*lines, ""]
        keys = ", h + Enter shows the keys" if self.keys else ""
        end = "; what is installed stays" if self.keeps else " and unregisters"
        lines += ["", self._dim(f"  Ctrl-C stops{end}{keys}{watching}"), ""]
        return lines

    def _changed(self, event: Changed) -> list[str]:
        if self.quiet or not event.paths:
            return []
        return [self._line(event.time, "changed  " + self._some(event.paths, ", "))]

    def _checked(self, event: Checked) -> list[str]:
        errors = tuple(each for each in event.diagnostics if each.is_error)
        others = tuple(each for each in event.diagnostics if not each.is_error)
        lines = ["", *self.frames(errors).rstrip("\n").split("\n"), ""] if errors else []
        if others and not self.quiet:
            if self.verbose:
                lines += ["", *self.frames(others).rstrip("\n").split("\n"), ""]
            else:
                lines += self._warnings(event.time, others)
        return lines

    def _warnings(
        self, time: datetime, found: Sequence[Diagnostic], rest: str = "upm-dev validate"
    ) -> list[str]:
        lines = [
            self._line(
                time,
                self._paint(f"{each.severity.value}[{each.code}]", fg=_SEVERITIES[each.severity])
                + f" {one_line(str(each.position))}: {one_line(each.message)}",
            )
            for each in found[:NAMED]
        ]
        if len(found) > NAMED:
            more = f"and {len(found) - NAMED} more: {rest} shows them all"
            lines.append(self._line(time, self._dim(more)))
        return lines

    def _probed(self, event: Probed, before: State) -> list[str]:
        if self.quiet:
            return []
        if event.diagnostics:
            return self._warnings(event.time, event.diagnostics, "the dashboard")
        if before.probed is None or not before.probed.diagnostics:
            return []
        return [self._line(event.time, f"app  answers at every page of {event.revision} now")]

    def _withheld(self, event: Withheld, before: State) -> list[str]:
        serving = f"still serving {event.serving}" if event.serving else "nothing to serve yet"
        errors = before.checked.errors if before.checked else 0
        count = f"  ({errors} error{'s' if errors > 1 else ''})" if errors else ""
        withheld = self._paint("withheld", fg="red", bold=True)
        return [self._line(event.time, f"{withheld}, {serving}{count}")]

    def _published(self, event: Published) -> list[str]:
        if self.quiet:
            return []
        revision = self._paint(event.revision, bold=True)
        if not event.diff:
            return [self._line(event.time, f"{revision}  same modules")]
        if all(each.kind is ChangeKind.ADDED for each in event.diff) and event.revision == "r1":
            names = [f'{each.type} "{each.key}"' for each in event.diff]
            return [self._line(event.time, f"{revision}  {self._some(names, ', ')}")]
        told = [sentence(each) for each in event.diff]
        impact = [self._paint(event.impact, fg="yellow")] if event.impact in _TOLD else []
        if self.verbose and len(told) > 1:
            head = self._line(event.time, f"{revision}  {len(told)} changes")
            return [head, *(self._under(each) for each in (*map(one_line, told), *impact))]
        line = "; ".join((self._some(told, "; "), *impact))
        return [self._line(event.time, f"{revision}  {line}")]

    def _target(self, event: TargetChanged, before: State) -> list[str]:
        if event.state in _PROGRESS:
            what = " ".join(filter(None, (event.state.value, event.revision)))
            return self._detail(event, f"{self._name(event.target, before)}  {what}")
        if self.quiet and event.state in (TargetState.CONFIRMED, TargetState.UNREGISTERED):
            return []
        name = self._name(event.target, before)
        if _said_before(event, before) and not self.verbose:
            wait = event.retry_in or 0.0
            line = f"{name}  still unavailable, trying again in {wait:.0f} s"
            return [self._line(event.time, self._dim(line))] if wait >= PATIENCE else []
        words = self._paint(event.state.value, fg=_TINTS.get(event.state))
        parts = [words if event.revision is None else f"{words} {event.revision}"]
        if event.state is TargetState.CONFIRMED:
            parts += [_by(event.by)] if event.by is not Proof.CALLBACK else []
            parts += [f"in {event.ms} ms"] if event.ms is not None else []
        if event.code:
            parts.append(f"[{event.code}]")
        line = " ".join(filter(None, parts))
        if event.reason:
            line += f": {one_line(event.reason)}"
        if event.retry_in is not None:
            line += self._dim(f" (trying again in {event.retry_in:.1f} s)")
        lines = [self._line(event.time, f"{name}  {line}")]
        if event.remedy:
            lines.append(self._under(one_line(event.remedy)))
        return lines

    def _request(self, event: RequestServed) -> list[str]:
        digest = f"  {event.digest[:12]}" if event.digest else ""
        return self._detail(
            event,
            f"<-- {self._status(event.status)} {one_line(event.method)} {one_line(event.path)}"
            f"  {one_line(event.who)}{digest}",
        )

    def _callback(self, event: CallbackReceived) -> list[str]:
        genuine = event.verdict is Verdict.GENUINE
        if self.quiet and genuine:
            return []
        tint = "green" if genuine else "red" if event.verdict is Verdict.FORGED else "yellow"
        verdict = self._paint(event.verdict.value, fg=tint)
        if event.reason:
            verdict += f": {one_line(event.reason)}"
        sender = f"  from {one_line(event.target)}" if event.target else ""
        return [
            self._line(event.time, f"--> {one_line(event.event)}{sender}  {verdict}"),
            self._line(
                event.time,
                f"<-- {self._status(event.status)} POST {one_line(event.path)}"
                + self._dim(f"  {event.ms:.0f} ms"),
            ),
        ]

    def _app(self, event: AppChanged) -> list[str]:
        if self.quiet:
            return []
        detail = f": {one_line(event.detail)}" if event.detail else ""
        return [self._line(event.time, f"app  {one_line(event.state)}{detail}")]

    def _output(self, event: AppOutput) -> list[str]:
        if self.quiet:
            return []
        prefix = self._paint("app |", fg="magenta")
        return [f"{' ' * 10}{prefix} {visible(line)}" for line in event.lines]

    def _log(self, event: HostLogged) -> list[str]:
        """What the product says of our app: all of it with -v, else where something went wrong."""
        bad = any(word in line for line in event.lines for word in _ALARMING)
        if not (self.verbose or bad) or (self.quiet and not bad):
            return []
        head = f"{self._paint(one_line(event.target), bold=True)}  log of {event.revision}"
        lines = [self._line(event.time, f"{head}  {self._dim(one_line(event.file))}")]
        return lines + [self._under(one_line(each)) for each in event.lines]

    def _paused(self, event: Paused) -> list[str]:
        words = self._paint("paused", fg="yellow") if event.paused else "goes on"
        what = ": saves are checked, and wait; p + Enter goes on" if event.paused else ""
        return [self._line(event.time, words + what)]

    def _notice(self, event: Notice) -> list[str]:
        if self.quiet and event.severity is Severity.INFO:
            return []
        word = "note" if event.severity is Severity.INFO else event.severity.value
        who = f" {one_line(event.target)}:" if event.target else ""
        painted = self._paint(f"{word}:", fg=_SEVERITIES[event.severity])
        code = f" [{event.code}]" if event.code else ""
        lines = [self._line(event.time, f"{painted}{who} {one_line(event.message)}{code}")]
        if event.remedy:
            lines.append(self._under(one_line(event.remedy)))
        return lines

    def _stopped(self, event: Stopped, before: State) -> list[str]:
        gone = [
            one_line(name)
            for name, target in before.targets.items()
            if target.state is TargetState.UNREGISTERED
        ]
        lines = []
        if not self.quiet:
            unregistered = f", unregistered from {', '.join(gone)}" if gone else ""
            lines.append(self._line(event.time, f"stopped{unregistered}"))
        if event.left:
            left = self._paint("left installed", fg="yellow")
            names = ", ".join(map(one_line, event.left))
            lines.append(self._line(event.time, f"{left}: {names}"))
        return lines

    def _detail(self, event: Event, text: str) -> list[str]:
        """A line that only those see who asked for more."""
        return [self._line(event.time, self._dim(text))] if self.verbose and not self.quiet else []

    def _line(self, time: datetime, text: str) -> str:
        return f"{self._dim(time.astimezone().strftime('%H:%M:%S'))}  {text}"

    def _under(self, text: str) -> str:
        return f"{' ' * 10}{text}"

    def _name(self, target: str, before: State) -> str:
        """A target's name, as wide as the widest, so that states stand below one another."""
        width = max(map(len, before.targets), default=0)
        return self._paint(one_line(target).ljust(width), bold=True)

    def _some(self, names: Iterable[str], between: str) -> str:
        """The first few of many, on one line."""
        shown = [one_line(each) for each in names]
        rest = 0 if self.verbose else len(shown) - NAMED
        more = f"{between}and {rest} more" if rest > 0 else ""
        return between.join(shown[:NAMED] if rest > 0 else shown) + more

    def _status(self, status: int) -> str:
        return self._paint(f"[{status}]", fg="green" if status < 400 else "red")

    def _paint(self, text: str, *, fg: str | None = None, bold: bool = False) -> str:
        if not self.colour or not (fg or bold):
            return text
        return click.style(text, fg=fg, bold=bold or None)

    def _dim(self, text: str) -> str:
        return click.style(text, dim=True) if self.colour else text


def _by(proof: Proof | None) -> str:
    """What a confirmation rests on, where it is not the callback."""
    return {Proof.UPM: "by UPM", Proof.UNCHANGED: "unchanged"}.get(proof, "") if proof else ""


def _said_before(event: TargetChanged, before: State) -> bool:
    """Whether a target is away for the reason that was told when it went."""
    known = before.targets.get(event.target)
    if event.state is not TargetState.UNAVAILABLE or known is None or known.trouble is None:
        return False
    return known.trouble.reason == event.reason

"""The terminal's view: which lines an event becomes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

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
    apply,
)
from devserver.model import (
    Change,
    ChangeKind,
    Diagnostic,
    FactChange,
    Position,
    Proof,
    Severity,
    TargetState,
    Verdict,
)
from devserver.terminal.view import View

NOW = datetime(2026, 11, 23, 21, 4, 14, tzinfo=UTC)
CLOCK = NOW.astimezone().strftime("%H:%M:%S")
DIGEST = "0123456789abcdef" * 4

STARTED = Started(
    time=NOW,
    urls={"descriptor": "http://localhost:8000/atlassian-plugin.xml", "app": "http://localhost:1"},
    targets={"jira": "http://localhost:2990/jira", "confluence": "http://localhost:1990/c"},
    ready_ms=312,
    watcher="inotify",
)


def frames(found: Sequence[Diagnostic]) -> str:
    return "".join(f"frame of {each.code}\n" for each in found)


def diagnostic(code: str, severity: Severity = Severity.ERROR) -> Diagnostic:
    return Diagnostic(
        code=code, severity=severity, message="it is so", position=Position("a.j2", 2, 3)
    )


def target(state: TargetState, name: str = "jira", **more: object) -> TargetChanged:
    return TargetChanged(time=NOW, target=name, state=state, attempt=1, **more)  # type: ignore[arg-type]


def shown(*events: Event, verbose: int = 0, quiet: bool = False, colour: bool = False) -> list[str]:
    """The lines of the last event, the ones before it having happened; without the clock."""
    view = View(frames=frames, colour=colour, verbose=verbose, quiet=quiet)
    state = State()
    lines: list[str] = []
    for event in events:
        lines = view.lines(event, state)
        state = apply(state, event)
    return [line.removeprefix(f"{CLOCK}  ") for line in lines]


def change(kind: ChangeKind, key: str, **more: object) -> Change:
    return Change(kind=kind, type="web-item", key=key, **more)  # type: ignore[arg-type]


def published(*diff: Change, revision: str = "r2") -> Published:
    return Published(time=NOW, revision=revision, digest=DIGEST, url="http://x", diff=diff)


def test_an_impact_is_painted_on_one_line() -> None:
    """Our own colours are no text of a stranger's: they are not spelled out."""
    event = replace(published(change(ChangeKind.CHANGED, "x")), impact="breaking")
    for verbose in (0, 1):
        (*_, last) = View(frames=frames, colour=True, verbose=verbose).lines(event, State())
        assert last.endswith("\x1b[33mbreaking\x1b[0m")


def test_the_banner() -> None:
    """Version, time to start, every URL, a line per target, how to stop."""
    assert shown(STARTED) == [
        "",
        "  upm-dev 0.1.0  ready in 312 ms",
        "",
        "  > Descriptor  http://localhost:8000/atlassian-plugin.xml",
        "  > App         http://localhost:1",
        "  > jira        http://localhost:2990/jira  registering",
        "  > confluence  http://localhost:1990/c  registering",
        "",
        "  Ctrl-C stops and unregisters",
        "",
    ]
    assert "watching by inotify" in shown(STARTED, verbose=1)[-2]
    assert shown(STARTED, quiet=True) == []
    stays = View(frames=frames, keeps=True).lines(STARTED, State())[-2]
    assert stays == "  Ctrl-C stops; what is installed stays"
    once = View(frames=frames, keeps=True, once=True).lines(STARTED, State())
    assert once == shown(STARTED)[:-2]


def test_every_line_has_the_time() -> None:
    """Of the event, on the user's clock."""
    (line,) = View(frames=frames).lines(Changed(time=NOW, paths=("a",)), State())

    assert line == f"{CLOCK}  changed  a"


def test_a_change_names_its_paths() -> None:
    """A few; a checkout of another branch is counted."""
    many = tuple(f"{n}.j2" for n in range(8))

    assert shown(Changed(time=NOW, paths=("a.j2", "b.j2"))) == ["changed  a.j2, b.j2"]
    assert shown(Changed(time=NOW, paths=many)) == [
        "changed  0.j2, 1.j2, 2.j2, 3.j2, 4.j2, and 3 more"
    ]
    assert shown(Changed(time=NOW, paths=many), verbose=1)[0].endswith("7.j2")
    assert shown(Changed(time=NOW, paths=())) == []
    assert shown(Changed(time=NOW, paths=("a",)), quiet=True) == []


def test_a_revision_tells_what_changed_module_by_module() -> None:
    """In one line; the first one names what there is."""
    facts = (FactChange("@url", "/a", "/b"),)
    diff = (
        change(ChangeKind.CHANGED, "one", facts=facts),
        change(ChangeKind.REMOVED, "two"),
        change(ChangeKind.RENAMED, "four", was="three"),
    )

    assert shown(published(*diff)) == [
        'r2  web-item "one": @url "/a" -> "/b"; web-item "two" removed;'
        ' web-item "four" renamed from "three"'
    ]
    assert shown(published(*diff), verbose=1) == [
        "r2  3 changes",
        '          web-item "one": @url "/a" -> "/b"',
        '          web-item "two" removed',
        '          web-item "four" renamed from "three"',
    ]
    first = published(*(change(ChangeKind.ADDED, key) for key in "ab"), revision="r1")
    assert shown(first) == ['r1  web-item "a", web-item "b"']
    assert shown(published(change(ChangeKind.ADDED, "a"))) == ['r2  web-item "a" added']
    assert shown(published()) == ["r2  same modules"]
    assert shown(published(*diff), quiet=True) == []


def test_rendering_is_a_detail() -> None:
    """Shown to those who ask."""
    event = Rendered(time=NOW, revision="r1", digest=DIGEST, ms=2.345)

    assert shown(event) == []
    assert shown(event, verbose=1) == ["r1  rendered in 2.3 ms"]
    assert shown(event, verbose=1, quiet=True) == []


def test_errors_are_shown_as_frames() -> None:
    """Quiet or not; what is withheld is told after them."""
    checked = Checked(
        time=NOW, revision=None, errors=2, warnings=0, diagnostics=(diagnostic("X1"),) * 2
    )

    assert shown(checked) == ["", "frame of X1", "frame of X1", ""]
    assert shown(checked, quiet=True) == shown(checked)
    assert shown(checked, Withheld(time=NOW, serving="r7")) == [
        "withheld, still serving r7  (2 errors)"
    ]
    assert shown(Withheld(time=NOW, serving=None)) == ["withheld, nothing to serve yet"]


def test_warnings_are_a_line_each() -> None:
    """Frames with -v, nothing with -q, and no flood."""
    found = tuple(diagnostic(f"W{n}", Severity.WARNING) for n in range(7))
    few = Checked(time=NOW, revision="r1", errors=0, warnings=1, diagnostics=found[:1])
    many = Checked(time=NOW, revision="r1", errors=0, warnings=7, diagnostics=found)

    assert shown(few) == ["warning[W0] a.j2:2:3: it is so"]
    assert shown(few, verbose=1) == ["", "frame of W0", ""]
    assert shown(few, quiet=True) == []
    assert len(shown(many)) == 6
    assert shown(many)[-1] == "and 2 more: upm-dev validate shows them all"
    assert shown(Checked(time=NOW, revision="r1", errors=0, warnings=0)) == []


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (Proof.CALLBACK, "confirmed r2 in 41 ms"),
        (Proof.UPM, "confirmed r2 by UPM in 41 ms"),
        (Proof.UNCHANGED, "confirmed r2 unchanged in 41 ms"),
        (None, "confirmed r2 in 41 ms"),
    ],
)
def test_a_confirmation_tells_the_time_and_what_it_rests_on(by: Proof | None, words: str) -> None:
    """A line per target, names below one another."""
    event = target(TargetState.CONFIRMED, revision="r2", ms=41, by=by)

    assert shown(STARTED, event) == [f"jira        {words}"]
    assert shown(STARTED, event, quiet=True) == []


@pytest.mark.parametrize(
    "state",
    [
        TargetState.WAITING,
        TargetState.REGISTERING,
        TargetState.ACCEPTED,
        TargetState.FETCHED,
        TargetState.INSTALLED,
    ],
)
def test_the_steps_are_details(state: TargetState) -> None:
    """The end of the path is what counts."""
    event = target(state, revision="r2")

    assert shown(event) == []
    assert shown(event, verbose=1) == [f"jira  {state} r2"]


@pytest.mark.parametrize(
    "state",
    [
        TargetState.REFUSED,
        TargetState.REJECTED,
        TargetState.UNCONFIRMED,
        TargetState.DRIFTED,
        TargetState.RESTART_NEEDED,
        TargetState.UNAVAILABLE,
    ],
)
def test_trouble_has_a_reason_and_a_remedy(state: TargetState) -> None:
    """With its code, even when quiet."""
    event = target(
        state, revision="r2", code="UPM403-X", reason="it said no", remedy="do this", retry_in=0.24
    )

    assert shown(event, quiet=True) == [
        f"jira  {state} r2 [UPM403-X]: it said no (trying again in 0.2 s)",
        "          do this",
    ]


def test_a_target_that_stays_away_is_not_told_each_time() -> None:
    """In a word before long waits, whole for another reason and with -v."""

    def away(reason: str, retry_in: float) -> TargetChanged:
        return target(TargetState.UNAVAILABLE, reason=reason, retry_in=retry_in)

    assert shown(away("nobody there", 0.1))
    assert shown(away("nobody there", 0.1), away("nobody there", 0.2)) == []
    assert shown(away("nobody there", 0.1), away("it hangs", 0.2))
    assert shown(away("nobody there", 4.0), away("nobody there", 8.0)) == [
        "jira  still unavailable, trying again in 8 s"
    ]
    assert shown(away("nobody there", 0.1), away("nobody there", 0.2), verbose=1)
    assert shown(STARTED, away("nobody there", 0.1))


def test_requests_are_details() -> None:
    """Who, what, how it ended, and which revision they got."""
    event = RequestServed(
        time=NOW, who="jira", method="GET", path="/atlassian-plugin.xml", status=200, digest=DIGEST
    )

    assert shown(event) == []
    assert shown(event, verbose=1) == ["<-- [200] GET /atlassian-plugin.xml  jira  0123456789ab"]


def callback(verdict: Verdict, status: int = 204, **more: str) -> CallbackReceived:
    return CallbackReceived(
        time=NOW,
        target=more.get("target"),
        event="remote_plugin_installed",
        verdict=verdict,
        status=status,
        ms=3.2,
        path="/installed",
        reason=more.get("reason"),
    )


def test_callbacks_are_shown_with_their_answers() -> None:
    """One that is not genuine says why, even when quiet."""
    genuine = callback(Verdict.GENUINE, target="jira")
    forged = callback(Verdict.FORGED, 401, reason="signed by nobody")

    assert shown(genuine) == [
        "--> remote_plugin_installed  from jira  genuine",
        "<-- [204] POST /installed  3 ms",
    ]
    assert shown(genuine, quiet=True) == []
    assert shown(forged, quiet=True) == [
        "--> remote_plugin_installed  forged: signed by nobody",
        "<-- [401] POST /installed  3 ms",
    ]
    assert shown(callback(Verdict.UNVERIFIABLE))[0].endswith("unverifiable")


def test_the_app_and_notices() -> None:
    """Notices as severe as they are, with what to do."""
    assert shown(AppChanged(time=NOW, state="started", detail="pid 3")) == ["app  started: pid 3"]
    assert shown(AppChanged(time=NOW, state="exited")) == ["app  exited"]
    assert shown(AppChanged(time=NOW, state="exited"), quiet=True) == []

    warning = Notice(
        time=NOW, severity=Severity.WARNING, message="it is so", remedy="do this", target="jira"
    )
    assert shown(warning, quiet=True) == ["warning: jira: it is so", "          do this"]
    note = Notice(time=NOW, severity=Severity.INFO, message="it is so")
    assert shown(note) == ["note: it is so"]
    assert shown(note, quiet=True) == []


def test_the_end_says_what_is_left() -> None:
    """Where it was unregistered, and what stays installed."""
    gone = target(TargetState.UNREGISTERED)
    stopped = Stopped(time=NOW, exit_code=130, left=("confluence: com.acme",))

    assert shown(gone) == ["jira  unregistered"]
    assert shown(STARTED, gone, stopped) == [
        "stopped, unregistered from jira",
        "left installed: confluence: com.acme",
    ]
    assert shown(Stopped(time=NOW, exit_code=130)) == ["stopped"]
    assert shown(stopped, quiet=True) == ["left installed: confluence: com.acme"]
    assert shown(gone, quiet=True) == []


HOSTILE = "a\x1b[2J\nb\u202e"

HOSTILE_WARNING = Diagnostic(
    code="W1", severity=Severity.WARNING, message=HOSTILE, position=Position(HOSTILE)
)
EVERY_EVENT: tuple[Event, ...] = (
    Started(
        time=NOW,
        urls={"descriptor": HOSTILE},
        targets={HOSTILE: HOSTILE},
        ready_ms=1,
        watcher=HOSTILE,
    ),
    Changed(time=NOW, paths=(HOSTILE,)),
    Checked(
        time=NOW,
        revision="r1",
        errors=0,
        warnings=1,
        diagnostics=(HOSTILE_WARNING,),
    ),
    Published(
        time=NOW,
        revision="r2",
        digest=DIGEST,
        url=HOSTILE,
        diff=(
            change(ChangeKind.ADDED, HOSTILE),
            change(ChangeKind.CHANGED, "x", facts=(FactChange(HOSTILE, HOSTILE, HOSTILE),)),
        ),
    ),
    Published(
        time=NOW, revision="r1", digest=DIGEST, url="", diff=(change(ChangeKind.ADDED, HOSTILE),)
    ),
    target(TargetState.REFUSED, HOSTILE, reason=HOSTILE, remedy=HOSTILE, code="X"),
    RequestServed(time=NOW, who=HOSTILE, method=HOSTILE, path=HOSTILE, status=404),
    CallbackReceived(
        time=NOW,
        target=HOSTILE,
        event=HOSTILE,
        verdict=Verdict.FORGED,
        status=401,
        ms=1,
        path=HOSTILE,
        reason=HOSTILE,
    ),
    AppChanged(time=NOW, state=HOSTILE, detail=HOSTILE),
    AppOutput(time=NOW, lines=tuple(HOSTILE.splitlines())),
    Probed(time=NOW, revision="r1", asked=1, diagnostics=(HOSTILE_WARNING,)),
    HostLogged(time=NOW, target=HOSTILE, revision="r1", file=HOSTILE, lines=(HOSTILE,)),
    Paused(time=NOW, paused=True),
    Rendered(time=NOW, revision="r1", digest=DIGEST, ms=1),
    Withheld(time=NOW, serving="r1"),
    Notice(time=NOW, severity=Severity.ERROR, message=HOSTILE, remedy=HOSTILE, target=HOSTILE),
    target(TargetState.UNREGISTERED, HOSTILE),
    Stopped(time=NOW, exit_code=130, left=(HOSTILE,)),
)


@pytest.mark.parametrize("verbose", [0, 1])
def test_nothing_from_outside_steers_the_terminal(verbose: int) -> None:
    """Names, paths and reasons are one line each, control characters made visible."""
    view = View(frames=lambda _: "", verbose=verbose)
    state = State()
    ours = (each for each in Event.__subclasses__() if each.__module__ == Event.__module__)
    assert {each.type for each in EVERY_EVENT} == {each.type for each in ours}
    for event in EVERY_EVENT:
        for line in view.lines(event, state):
            assert not set(line) & set("\x1b\n\r\u202e"), event.type
        state = apply(state, event)


def test_colours_change_nothing_but_colours() -> None:
    """The same lines with and without."""
    plain, painted = View(frames=frames), View(frames=frames, colour=True)
    state = State()
    escapes = 0
    for event in (STARTED, *EVERY_EVENT, target(TargetState.CONFIRMED, revision="r1", ms=3)):
        with_colours = painted.lines(event, state)
        stripped = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in with_colours]
        assert stripped == plain.lines(event, state)
        escapes += "".join(with_colours).count("\x1b")
        state = apply(state, event)
    assert escapes > 20


def test_an_event_of_a_later_version_is_passed_over() -> None:
    """Fields and events are only ever added."""

    class Later(Event):
        type = "later"

    assert shown(Later(time=NOW)) == []

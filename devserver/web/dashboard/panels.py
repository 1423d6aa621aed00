"""State to panels: each a piece of HTML with a name and a digest, so that only news is sent."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import devserver
from devserver.descriptor.diff import diff, sentence
from devserver.descriptor.visible import one_line, visible
from devserver.events import State, TargetView
from devserver.model import Descriptor, Diagnostic, Module, TargetState
from devserver.reading import Shown
from devserver.redact import Redactor
from devserver.web.dashboard import inspector, show
from devserver.web.dashboard.desk import ONLY, VIEWS, Desk, Look
from devserver.web.dashboard.export import curl

if TYPE_CHECKING:
    from jinja2 import Environment

PANELS: Mapping[str, tuple[str, ...]] = {
    "overview": ("now", "targets", "diagnostics", "recent", "notices"),
    "descriptor": ("source", "modules", "history"),
    "traffic": ("requests", "detail"),
    "app": ("app", "probe", "tenants"),
}
"""What each view has, in its order; `overlay` and `status` are on every page."""

STEPS = (
    TargetState.REGISTERING,
    TargetState.ACCEPTED,
    TargetState.FETCHED,
    TargetState.INSTALLED,
    TargetState.CONFIRMED,
)
FRAMES = 30
"""Diagnostics that are shown with their code; the rest is counted."""
RECENT = 8
OUTPUT = 300
GOOD = frozenset({"confirmed", "ready", "running", "genuine"})
BAD = frozenset({"refused", "rejected", "crashed", "forged"})
DOUBTFUL = frozenset({"unconfirmed", "unavailable", "drifted", "restart-needed", "unverifiable"})


@dataclass(frozen=True, slots=True)
class Panel:
    name: str
    html: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.html.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A state on a target's path: reached after so many ms, or not (yet)."""

    state: str
    ms: int | None
    reached: bool


def page(desk: Desk, look: Look, *, start: str, token: str) -> str:
    """The whole page of a look."""
    made = {each.name: each for each in panels(desk, look, token)}
    return (
        _environment(desk.redactor)
        .get_template("page.html")
        .render(
            desk=desk,
            look=look,
            views=VIEWS,
            order=PANELS[look.view],
            panels=made,
            start=start,
            title=title(desk.bus.state),
            version=devserver.__version__,
        )
    )


def overlay_page(desk: Desk, *, start: str) -> str:
    """The page that the app's own pages show in a frame: the overlay and nothing to press."""
    return (
        _environment(desk.redactor)
        .get_template("overlay_page.html")
        .render(panel=overlay(desk), start=start, title="upm-dev")
    )


def panels(desk: Desk, look: Look, token: str) -> Iterator[Panel]:
    """Everything on the page of *look* that can change."""
    context = {"desk": desk, "state": desk.bus.state, "look": look, "token": token, "views": VIEWS}
    yield overlay(desk)
    for name in ("status", *PANELS[look.view]):
        more = _CONTEXTS[name](desk, look)
        html = (
            _environment(desk.redactor)
            .get_template(f"panels/{name}.html")
            .render({**context, **more})
        )
        yield Panel(name, html)


def overlay(desk: Desk) -> Panel:
    """What is wrong with the newest edit; empty where nothing is."""
    state = desk.bus.state
    errors = _errors(state)
    if not state.withheld or not errors:
        return Panel("overlay", "")
    frames = [show.frame(each, desk.sources(), desk.redactor.text) for each in errors[:3]]
    html = (
        _environment(desk.redactor)
        .get_template("panels/overlay.html")
        .render(frames=frames, more=len(errors) - len(frames), state=state, root=desk.root)
    )
    return Panel("overlay", html)


def title(state: State) -> str:
    """What a tab in the background says."""
    if state.withheld:
        return "✗ withheld – upm-dev"
    if state.published is None:
        return "upm-dev"
    name = state.published.revision
    states = {each.state for each in state.targets.values() if each.url}
    if states and all(each is TargetState.CONFIRMED for each in states):
        return f"✓ {name} confirmed – upm-dev"
    return f"{name} – upm-dev"


# -- what each panel needs ------------------------------------------------------------------------


def _status(desk: Desk, _: Look) -> dict[str, Any]:
    state = desk.bus.state
    return {"title": title(state), "mood": _mood(state)}


def _mood(state: State) -> str:
    if state.withheld:
        return "bad"
    states = {each.state.value for each in state.targets.values() if each.url}
    if states & BAD:
        return "bad"
    if states & DOUBTFUL:
        return "doubtful"
    return "good" if states and states <= {"confirmed"} else "busy"


def _now(desk: Desk, _: Look) -> dict[str, Any]:
    state = desk.bus.state
    times = state.times
    return {
        "times": times,
        "points": show.sparkline(times),
        "typical": round(median(times)) if times else None,
        "mood": _mood(state),
        "diff": _told(state.published.diff) if state.published else (),
    }


def _told(changes: Any) -> tuple[str, ...]:
    return tuple(one_line(sentence(each)) for each in changes)


def _targets(desk: Desk, _: Look) -> dict[str, Any]:
    state = desk.bus.state
    shown = [each for each in state.targets.values() if each.url]
    newest = desk.published.newest
    return {
        "rows": [
            {
                "view": each,
                "steps": _steps(each),
                "tint": tint(each.state.value),
                "page": f"{each.url}/plugins/servlet/upm",
                "gone": each.state is TargetState.UNREGISTERED,
                "key": newest.first.key if newest else "",
            }
            for each in shown
        ]
    }


def _steps(view: TargetView) -> tuple[Step, ...]:
    """The path of the newest attempt: what was reached and when, and what is still ahead."""
    reached = {each.state: each for each in view.path}
    last = max((index for index, each in enumerate(STEPS) if each in reached), default=-1)
    return tuple(
        Step(
            state=each.value,
            ms=reached[each].ms if each in reached else None,
            reached=index <= last,
        )
        for index, each in enumerate(STEPS)
    )


def _diagnostics(desk: Desk, _: Look) -> dict[str, Any]:
    state = desk.bus.state
    found = list(state.checked.diagnostics) if state.checked else []
    if state.probed:
        found += state.probed.diagnostics
    files = desk.sources()
    return {
        "frames": [show.frame(each, files, desk.redactor.text) for each in found[:FRAMES]],
        "more": max(0, len(found) - FRAMES),
        "links": _links(desk, found[:FRAMES]),
    }


def _links(desk: Desk, found: list[Diagnostic]) -> dict[str, str]:
    """Where a click on a place leads: an address that the user's editor answers to."""
    links = {}
    for each in found:
        position = each.position
        path = quote(str(desk.root / position.file))
        links[str(position)] = f"vscode://file{path}:{max(1, position.line)}:{position.column or 1}"
    return links


def _errors(state: State) -> tuple[Diagnostic, ...]:
    found = state.checked.diagnostics if state.checked else ()
    return tuple(each for each in found if each.is_error)


def _recent(desk: Desk, look: Look) -> dict[str, Any]:
    # Our own questions to targets are many and, on the whole, as they should be.
    found = (each for each in inspector.items(desk, look) if each.kind != "out" or each.failed)
    return {"items": list(islice(found, RECENT))}


def _notices(desk: Desk, _: Look) -> dict[str, Any]:
    return {"notices": tuple(reversed(desk.bus.state.notices[-RECENT:]))}


def _source(desk: Desk, look: Look) -> dict[str, Any]:
    descriptor = _chosen(desk, look)
    shown = desk.shown()
    if descriptor is None:
        return {"listings": (), "descriptor": None}
    if shown is not None and shown.digest == descriptor.digest:
        return {"listings": _beside(shown, desk.redactor.text), "descriptor": descriptor}
    text = descriptor.body.decode("utf-8", "replace")
    return {
        "listings": (show.plain_listing("rendered", text, desk.redactor.text),),
        "descriptor": descriptor,
    }


_BESIDE: dict[str, tuple[show.Listing, ...]] = {}
"""The newest only: working out where lines come from costs a rendering."""


def _beside(shown: Shown, clean: show.Clean) -> tuple[show.Listing, ...]:
    name = hashlib.sha256(repr((shown.digest, sorted(shown.files.items()))).encode()).hexdigest()
    if name not in _BESIDE:
        _BESIDE.clear()
        _BESIDE[name] = show.side_by_side(shown, clean)
    return _BESIDE[name]


def _chosen(desk: Desk, look: Look) -> Descriptor | None:
    return desk.published.lookup(rev=look.rev or None)


def _modules(desk: Desk, look: Look) -> dict[str, Any]:
    descriptor = _chosen(desk, look)
    kinds: dict[str, list[Module]] = {}
    for each in descriptor.modules if descriptor else ():
        kinds.setdefault(each.type, []).append(each)
    return {"kinds": kinds, "descriptor": descriptor}


def _history(desk: Desk, look: Look) -> dict[str, Any]:
    kept = desk.published.revisions
    times = {each.digest: each.time for each in desk.bus.state.history}
    new = _chosen(desk, look)
    names = [each.digest for each in kept]
    old = None
    if new is not None:
        older = names.index(new.digest) + 1 if new.digest in names else len(names)
        base = look.base or (names[older] if older < len(names) else "")
        old = desk.published.lookup(rev=base) if base else None
    return {
        "revisions": kept,
        "times": times,
        "new": new,
        "old": old,
        "changes": _told(diff(old, new)) if new and old else (),
    }


def _requests(desk: Desk, look: Look) -> dict[str, Any]:
    return {"items": inspector.items(desk, look), "only": ONLY}


def _detail(desk: Desk, look: Look) -> dict[str, Any]:
    item = inspector.item(desk, look.item) if look.item else None
    started = desk.bus.state.started
    base = started.urls.get("app", "") if started else ""
    return {"item": item, "curl": curl(item, base) if item else ""}


def _app(desk: Desk, _: Look) -> dict[str, Any]:
    output = [visible(desk.redactor.text(each)) for each in desk.bus.state.output[-OUTPUT:]]
    return {"output": "\n".join(output)}


def _probe(desk: Desk, _: Look) -> dict[str, Any]:
    return {"probed": desk.bus.state.probed}


def _tenants(desk: Desk, _: Look) -> dict[str, Any]:
    return {"tenants": desk.record.tenants(), "targets": desk.bus.state.targets}


_CONTEXTS = {
    "status": _status,
    "now": _now,
    "targets": _targets,
    "diagnostics": _diagnostics,
    "recent": _recent,
    "notices": _notices,
    "source": _source,
    "modules": _modules,
    "history": _history,
    "requests": _requests,
    "detail": _detail,
    "app": _app,
    "probe": _probe,
    "tenants": _tenants,
}


# -- templates ------------------------------------------------------------------------------------


def folder() -> Path:
    """Where the templates are: inside the package of a wheel, beside it in a checkout."""
    package = Path(devserver.__file__).parent
    inside = package / "templates" / "web" / "dashboard"
    return inside if inside.is_dir() else package.parent / "templates" / "web" / "dashboard"


@cache
def _environment(redactor: Redactor) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        # Whatever is said anywhere, no secret of ours is among it.
        finalize=lambda value: (
            redactor.text(value) if type(value) is str else "" if value is None else value
        ),
    )
    made.filters["clock"] = _clock
    made.filters["tint"] = tint
    made.filters["one_line"] = one_line
    made.filters["visible"] = visible
    made.filters["size"] = _size
    made.globals["differing"] = show.differing
    return made


def tint(word: str) -> str:
    """The colour of a state: good, bad, doubtful, or busy for what is on its way."""
    for name, words in (("good", GOOD), ("bad", BAD), ("doubtful", DOUBTFUL)):
        if word in words:
            return name
    return "busy"


def _clock(time: datetime) -> str:
    return time.astimezone().strftime("%H:%M:%S")


def _size(count: int) -> str:
    return f"{count} B" if count < 2048 else f"{count / 1024:.1f} KB"

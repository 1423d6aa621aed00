"""State to panels: each a piece of HTML with a name and a digest, so that only news is sent."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import devserver
from devserver import shipped
from devserver.descriptor.diff import diff, sentence
from devserver.descriptor.visible import one_line, visible
from devserver.events import KEPT_TIMES, State
from devserver.model import Change, Descriptor, Diagnostic, Module, Revision
from devserver.reading import Shown
from devserver.redact import Redactor
from devserver.traffic import Way
from devserver.web.dashboard import inspector, show, targets
from devserver.web.dashboard.desk import ONLY, VIEWS, Desk, Look
from devserver.web.dashboard.export import curl
from devserver.web.dashboard.standing import address, standing, tint, title

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = ("web", "dashboard")
"""The templates of the pages, and what they load."""
PANELS: Mapping[str, tuple[str, ...]] = {
    "overview": ("now", "targets", "diagnostics", "recent", "notices"),
    "descriptor": ("source", "modules", "history"),
    "traffic": ("requests", "detail"),
    "app": ("app", "probe", "tenants"),
}
"""What each view has, in its order; `overlay` and `status` are on every page."""

FRAMES = 30
"""Diagnostics that are shown with their code; the rest is counted."""
LAID = 3
"""Those that are laid over the page."""
RECENT = 8
OUTPUT = 300


@dataclass(frozen=True, slots=True)
class Panel:
    name: str
    html: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.html.encode()).hexdigest()[:16]


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
            title=title(desk.bus.state, look.title),
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
    yield overlay(desk, token, look)
    for name in ("status", *PANELS[look.view]):
        more = _CONTEXTS[name](desk, look)
        html = (
            _environment(desk.redactor)
            .get_template(f"panels/{name}.html")
            .render({**context, **more})
        )
        yield Panel(name, html)


def overlay(desk: Desk, token: str = "", look: Look | None = None) -> Panel:
    """What is wrong with the newest edit; empty where nothing is.

    Without a *token* there is nothing to press: so it is where others may frame it.
    """
    state = desk.bus.state
    errors = _errors(state)
    if not state.withheld or not errors:
        return Panel("overlay", "")
    context = {
        "desk": desk,
        "state": state,
        "token": token,
        "look": look,
        "frames": [show.frame(each, desk.sources(), desk.redactor.text) for each in errors[:LAID]],
        "links": _links(desk, errors[:LAID]),
        "more": len(errors) - LAID,
    }
    html = _environment(desk.redactor).get_template("panels/overlay.html").render(context)
    return Panel("overlay", html)


# -- what each panel needs ------------------------------------------------------------------------


def _status(desk: Desk, _: Look) -> dict[str, Any]:
    mood, words = standing(desk.bus.state)
    return {"mood": mood, "words": words}


def _now(desk: Desk, _: Look) -> dict[str, Any]:
    state = desk.bus.state
    times = state.times
    return {
        "times": times,
        "room": KEPT_TIMES,
        "bars": show.sparkline(times, KEPT_TIMES),
        "typical": round(median(times)) if times else None,
        "diff": _told(state.published.diff) if state.published else (),
        "warnings": (state.checked.warnings if state.checked else 0)
        + (len(state.probed.diagnostics) if state.probed else 0),
        "app": _through_us(state),
    }


def _through_us(state: State) -> str:
    """The app's address on the public port: with overlay and live reload; empty without an app."""
    return state.started.urls.get("app", "") if state.started else ""


def _told(changes: Any) -> tuple[str, ...]:
    return tuple(one_line(sentence(each)) for each in changes)


def _targets(desk: Desk, _: Look) -> dict[str, Any]:
    return {"rows": targets.rows(desk)}


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


def _links(desk: Desk, found: Sequence[Diagnostic]) -> dict[str, str]:
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
    # Our own questions to targets are many; what came of them is told with the targets.
    return {"items": inspector.items(desk, look, RECENT, ways=(Way.TO_US, Way.REPLAY))}


def _notices(desk: Desk, _: Look) -> dict[str, Any]:
    return {"notices": tuple(reversed(desk.bus.state.notices[-RECENT:]))}


def _source(desk: Desk, look: Look) -> dict[str, Any]:
    revision = _revision(desk, look.rev) or desk.published.newest
    if revision is None:
        return {"listings": (), "descriptor": None, "renderings": {}}
    descriptor = _descriptor(revision, look)
    shown = desk.shown()
    if shown is not None and shown.digest == descriptor.digest:
        listings = _beside(shown, desk.redactor)
    else:
        text = descriptor.body.decode("utf-8", "replace")
        listings = (show.plain_listing("rendered", text, desk.redactor.text),)
    return {
        "listings": listings,
        "descriptor": descriptor,
        "revision": revision,
        "newest": revision is desk.published.newest,
        "renderings": _renderings(revision),
    }


_BESIDE: dict[str, tuple[show.Listing, ...]] = {}
"""The newest only: working out where lines come from costs a rendering."""


def _beside(shown: Shown, redactor: Redactor) -> tuple[show.Listing, ...]:
    made_of = (shown.digest, sorted(shown.files.items()), redactor.known)
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()
    if name not in _BESIDE:
        _BESIDE.clear()
        _BESIDE[name] = show.side_by_side(shown, redactor.text)
    return _BESIDE[name]


def _revision(desk: Desk, name: str) -> Revision | None:
    """By its name, which no other has: an edit that is taken back has the digest of an earlier."""
    return next((each for each in desk.published.revisions if each.name == name), None)


def _descriptor(revision: Revision, look: Look) -> Descriptor:
    return revision.descriptors.get(look.target) or revision.first


def _renderings(revision: Revision) -> dict[str, tuple[str, ...]]:
    """The targets by what they are given, each rendering under its first target's name."""
    by_digest: dict[str, list[str]] = {}
    for name, descriptor in revision.descriptors.items():
        by_digest.setdefault(descriptor.digest, []).append(name)
    return {names[0]: tuple(names) for names in by_digest.values()}


def _modules(desk: Desk, look: Look) -> dict[str, Any]:
    revision = _revision(desk, look.rev) or desk.published.newest
    descriptor = _descriptor(revision, look) if revision else None
    kinds: dict[str, list[Module]] = {}
    for each in descriptor.modules if descriptor else ():
        kinds.setdefault(each.type, []).append(each)
    return {"kinds": kinds, "descriptor": descriptor}


def _history(desk: Desk, look: Look) -> dict[str, Any]:
    kept = desk.published.revisions
    new = _revision(desk, look.rev) or desk.published.newest
    old = _revision(desk, look.base) or (_before(kept, new) if new else None)
    changes: tuple[Change, ...] = ()
    if new and old:
        changes = diff(_descriptor(old, look), _descriptor(new, look))
    return {
        "revisions": kept,
        "times": {each.revision: each.time for each in desk.bus.state.history},
        "new": new,
        "old": old,
        "changes": _told(changes),
    }


def _before(kept: Sequence[Revision], revision: Revision) -> Revision | None:
    return next((each for each in kept if each.number < revision.number), None)


def _requests(desk: Desk, look: Look) -> dict[str, Any]:
    return {"items": inspector.items(desk, look), "only": ONLY}


def _detail(desk: Desk, look: Look) -> dict[str, Any]:
    item = inspector.item(desk, look.item) if look.item else None
    if item is None:
        return {"item": None}
    return {
        "item": item,
        # What is masked is refused by us; the app may take it, as it does a replay.
        "curl": curl(item, (item.is_callback and desk.backend) or address(desk.bus.state)),
        "replays": inspector.replays(desk, item.name),
    }


def _app(desk: Desk, _: Look) -> dict[str, Any]:
    output = [visible(desk.redactor.text(each)) for each in desk.bus.state.output[-OUTPUT:]]
    return {"output": "\n".join(output), "app": _through_us(desk.bus.state)}


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


@cache
def _environment(redactor: Redactor) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(shipped.folder(*HERE)),
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


def _clock(time: datetime) -> str:
    here = time.astimezone()
    today = here.date() == datetime.now().astimezone().date()
    return here.strftime("%H:%M:%S" if today else "%d %b %H:%M")


def _size(count: int) -> str:
    return f"{count} B" if count < 2048 else f"{count / 1024:.1f} KB"

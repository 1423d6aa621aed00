"""The dashboard's port: pages, `/live`, `/state`, `/revisions/<digest>`, actions.

Whoever comes is a browser on this machine, and any page in it may be hostile, the app's own
included: it is another origin (another port), so it can read nothing here. Against what it could
still do: `Host` has to be a loopback name (DNS rebinding), the WebSocket and every action need our
own `Origin`, every action the token of this start, no page may be framed but the overlay, which
has nothing to press, and the policy runs no script but ours. No cookie is used: cookies know no
port, so the app's pages could set and read them. Nothing is decided by the caller's address.
"""

import asyncio
import hmac
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from devserver import shipped
from devserver.commands import (
    Agree,
    Command,
    Enable,
    Fix,
    Forget,
    OpenInEditor,
    Pause,
    RegisterAgain,
    Replay,
    RestartApp,
    Unregister,
)
from devserver.events import AppState, State, to_json
from devserver.web.dashboard import export, inspector, panels, standing
from devserver.web.dashboard.desk import Desk, Look
from devserver.web.dashboard.panels import Panel
from devserver.web.hosts import guard

GATHER = 0.008
"""Seconds that news is gathered before it is drawn: events come in bunches, and the install
request of the same save goes first."""
SLOW = 10.0
"""A page that takes no news for so many seconds is let go; it comes back by itself."""
FORM_LIMIT = 12 * 1024 * 1024
"""Bytes of a form: an edited callback is among them."""
FORM_SECONDS = 3.0
"""What a form may take to arrive, from a browser on this machine."""
FILES = {"live.js": "text/javascript", "style.css": "text/css", "icon.svg": "image/svg+xml"}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that a form of ours would come from the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Door:
    """This start: `token` is what actions need, `start` what tells it from the one before.

    `framed_by` are the origins whose pages may show the overlay.
    """

    desk: Desk
    token: str
    start: str
    framed_by: tuple[str, ...] = ()


class Drawings:
    """The panels as they are now, drawn once for all the tabs that show the same."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._made: dict[Look | None, tuple[Panel, ...]] = {}

    def stale(self) -> None:
        """Something happened: what was drawn counts no more."""
        self._made.clear()

    def of(self, look: Look | None) -> tuple[Panel, ...]:
        """Those of *look*; None: the overlay alone."""
        if look not in self._made:
            desk = self._door.desk
            if look is None:
                self._made[look] = (panels.overlay(desk),)
            else:
                self._made[look] = tuple(panels.panels(desk, look, self._door.token))
        return self._made[look]


DOOR = web.AppKey("DOOR", Door)
DRAWINGS = web.AppKey("DRAWINGS", Drawings)
LIVE: "web.AppKey[set[web.WebSocketResponse]]" = web.AppKey("LIVE", set)


def dashboard_app(door: Door) -> web.Application:
    app = web.Application(middlewares=[plain, guard(frozenset())], client_max_size=FORM_LIMIT)
    app[DOOR] = door
    app[DRAWINGS] = Drawings(door)
    app[LIVE] = set()
    app.on_response_prepare.append(protected)
    app.on_shutdown.append(hang_up)
    app.add_routes(
        [
            web.get("/", page),
            web.get("/overlay", overlay),
            web.get("/live", live),
            web.get("/state", state),
            web.get("/traffic.har", har),
            web.get("/revisions/{digest:[0-9a-f]{64}}", revision),
            web.get("/static/{name:[a-z]+[.][a-z]+}", static),
            web.post("/actions/{name:[a-z]+}", action),
        ]
    )
    return app


@web.middleware
async def plain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors are told as text, and say nothing of who asked."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=f"{error.reason}\n")


async def protected(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer carries the policy, whatever went wrong."""
    response.headers.update(HEADERS)
    response.headers["Content-Security-Policy"] = _policy(request)


def _policy(request: web.Request) -> str:
    door = request.app[DOOR]
    framed = "'none'"
    if request.path == "/overlay":
        framed = " ".join(("'self'", *door.framed_by))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        f" connect-src 'self' ws://{request.host if _plain(request.host) else ''};"
        f" form-action 'self'; base-uri 'none'; frame-ancestors {framed}"
    )


def _plain(host: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", host) is not None


async def page(request: web.Request) -> web.Response:
    door = request.app[DOOR]
    html = panels.page(door.desk, Look.of(request.query), start=door.start, token=door.token)
    return web.Response(text=html, content_type="text/html")


async def overlay(request: web.Request) -> web.Response:
    door = request.app[DOOR]
    html = panels.overlay_page(door.desk, start=door.start)
    return web.Response(text=html, content_type="text/html")


async def static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in FILES:
        raise web.HTTPNotFound
    data = (shipped.folder(*panels.HERE) / name).read_bytes()
    return web.Response(body=data, content_type=FILES[name], charset="utf-8")


async def revision(request: web.Request) -> web.Response:
    """The bytes of a revision, as text: a browser must not take them for a page of ours."""
    descriptor = request.app[DOOR].desk.published.lookup(rev=request.match_info["digest"])
    if descriptor is None:
        raise web.HTTPNotFound
    return web.Response(
        body=descriptor.body, content_type="text/plain", charset="utf-8",
        headers={"Content-Disposition": f'inline; filename="{descriptor.file_name}.txt"'},
    )  # fmt: skip


async def state(request: web.Request) -> web.Response:
    """What is so, as JSON: for scripts."""
    desk = request.app[DOOR].desk
    return web.json_response(desk.redactor.document(_document(desk.bus.state)))


def _document(now: State) -> dict[str, object]:
    def event(each: object) -> object:
        return None if each is None else to_json(each)  # type: ignore[arg-type]

    return {
        "v": 1,
        "published": event(now.published),
        "checked": event(now.checked),
        "withheld": now.withheld,
        "targets": {
            name: {"url": each.url, "confirmed": each.confirmed, "last": event(each.last)}
            for name, each in now.targets.items()
        },
        "app": event(now.app),
        "callbacks": [event(each) for each in now.callbacks],
        "times": list(now.times),
    }


async def har(request: web.Request) -> web.Response:
    """A file of what is listed; other sites' pages may not have it made, which is work."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise web.HTTPForbidden
    desk, look = request.app[DOOR].desk, Look.of(request.query)
    names = [look.item] if look.item else [each.name for each in inspector.items(desk, look)]
    found = [inspector.item(desk, each) for each in names]
    base = standing.address(desk.bus.state)
    document = export.har([each for each in found if each is not None], base)
    return web.json_response(
        document,
        headers={"Content-Disposition": 'attachment; filename="upm-dev.har"'},
        dumps=lambda value: json.dumps(value, indent=1),
    )


# -- news -----------------------------------------------------------------------------------------


async def live(request: web.Request) -> web.StreamResponse:
    """Send what has changed on the page, as often as it does, until the page goes."""
    if request.headers.get("Origin") != f"http://{request.host}":
        raise web.HTTPForbidden
    door = request.app[DOOR]
    socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=1024)
    await socket.prepare(request)
    request.app[LIVE].add(socket)
    news = asyncio.Event()
    drawings = request.app[DRAWINGS]
    look = None if request.query.get("page") == "overlay" else Look.of(request.query)

    def stir(*_: object) -> None:
        drawings.stale()
        news.set()

    with ExitStack() as stack:
        stack.callback(request.app[LIVE].discard, socket)
        stack.enter_context(door.desk.bus.listening(stir))
        stack.enter_context(door.desk.traffic.listening(stir))
        drawings.stale()  # while nobody looked, nobody heard what happened
        telling = asyncio.create_task(_tell(socket, door, drawings, look, news))
        hearing = asyncio.create_task(_heard_out(socket))
        try:
            await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (telling, hearing):
                each.cancel()
            await asyncio.wait((telling, hearing))
        if not telling.cancelled():
            if request.transport is not None:
                request.transport.abort()  # what the page did not take would be waited for
            telling.result()  # one that cannot be drawn is trouble of ours
    return socket


async def _heard_out(socket: web.WebSocketResponse) -> None:
    """Wait for the end; nothing else is said."""
    async for _ in socket:
        pass


async def _tell(
    socket: web.WebSocketResponse,
    door: Door,
    drawings: Drawings,
    look: Look | None,
    news: asyncio.Event,
) -> None:
    sent: dict[str, str] = {}
    async for _ in _moments(news):
        now = door.desk.bus.state
        shown = drawings.of(look)
        fresh = {each.name: each for each in shown if sent.get(each.name) != each.digest}
        sent |= {name: each.digest for name, each in fresh.items()}
        message = {
            "start": door.start,
            "title": standing.title(now, look.title if look else ""),
            "reload": _reloads(now),
            "notice": door.desk.redactor.document(standing.notice(now)),
            "panels": {name: [each.digest, each.html] for name, each in fresh.items()},
        }
        try:
            async with asyncio.timeout(SLOW):
                await socket.send_json(message)
        except (TimeoutError, ConnectionError):
            return


async def _moments(news: asyncio.Event) -> AsyncIterator[None]:
    yield
    while True:
        await news.wait()
        await asyncio.sleep(GATHER)
        news.clear()
        yield


def _reloads(now: State) -> str:
    """What, when it changes, is a reason for the app's own pages to load again."""
    if now.app is not None and now.app.state != AppState.READY:
        return ""
    ready = now.app.time.isoformat() if now.app else ""
    confirmed = [each.confirmed or "" for each in now.targets.values()]
    return f"{ready} {max(confirmed, default='', key=lambda name: (len(name), name))}"


async def hang_up(app: web.Application) -> None:
    sockets = app[LIVE]
    for socket in tuple(sockets):
        await socket.close(code=1001, message=b"upm-dev stops")


# -- actions --------------------------------------------------------------------------------------


async def action(request: web.Request) -> web.Response:
    """Take what a form of ours asks for, and go back to the page."""
    door = request.app[DOOR]
    if request.headers.get("Origin") != f"http://{request.host}":
        raise web.HTTPForbidden
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(FORM_SECONDS):
            form = {name: str(value) for name, value in (await request.post()).items()}
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    if not hmac.compare_digest(form.get("token", "").encode(), door.token.encode()):
        raise web.HTTPForbidden
    command = asked(request.match_info["name"], form, door.desk)
    if command is None:
        raise web.HTTPBadRequest
    door.desk.do(command)
    if request.headers.get("X-Requested-With") == "live":
        return web.Response(status=204)
    return web.Response(status=303, headers={"Location": Look.of(form).link()})


def asked(name: str, form: Mapping[str, str], desk: Desk) -> Command | None:
    """The command of a form; None where it names what there is not."""
    target = form.get("target", "")
    named = name in ("agree", "unregister", "enable", "forget") or (name == "register" and target)
    if named and target not in desk.bus.state.targets:
        return None
    match name:
        case "register":
            return RegisterAgain(target or None)
        case "agree":
            return Agree(target)
        case "pause":
            return Pause(form.get("paused") == "yes")
        case "unregister":
            return Unregister(target)
        case "enable":
            return Enable(target)
        case "forget":
            return Forget(target)
        case "restart":
            return RestartApp()
        case "replay":
            return _replay(form)
        case "edit" | "fix" if form.get("file") in desk.sources():
            line, column = _number(form.get("line")), _number(form.get("column"))
            if name == "edit":
                return OpenInEditor(form["file"], line, column)
            return Fix(form.get("code", ""), form["file"], line, column)
        case _:
            return None


def _replay(form: Mapping[str, str]) -> Command | None:
    item, path = form.get("item", ""), form.get("path")
    if not inspector.NAME.fullmatch(item):
        return None
    if path is None:
        return Replay(item)
    if not path.startswith("/") or not path.isprintable() or " " in path:
        return None
    return Replay(item, path, form.get("body", "").replace("\r\n", "\n").encode())


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 8 else 1

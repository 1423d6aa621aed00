"""`/_simulator/` in the browser: requests, callbacks, faults, firing of events."""

from aiohttp import web

from devserver.errors import UsageError
from devserver.simulator.administration import ICON
from devserver.simulator.faults import KINDS, STAGES, from_mapping
from devserver.simulator.journal import Exchange
from devserver.simulator.pages import enter, form, see_other
from devserver.simulator.render import page, problem, style

SHOWN = 200


async def control(request: web.Request) -> web.Response:
    host, caller = enter(request)
    return page(
        host,
        caller,
        "simulator.html",
        title="Requests and faults",
        admin_area=True,
        area="simulator",
        faults=host.faults.listed(),
        kinds=list(KINDS),
        stages=STAGES,
        callbacks=list(reversed(host.callbacks))[:SHOWN],
        exchanges=[each for each in reversed(list(host.journal)) if _of_a_client(each)][:SHOWN],
    )


def _of_a_client(exchange: Exchange) -> bool:
    """Whether it is worth showing: somebody's visits to these pages are not."""
    return any(part in exchange.path for part in ("/rest/", "/oauth/", "/keys/", "/status"))


async def add_fault(request: web.Request) -> web.Response:
    host, caller, fields = await form(request)
    table: dict[str, object] = {
        "kind": str(fields.get("kind", "")),
        "stage": str(fields.get("stage", "any")),
    }
    for name in ("times", "ms", "status"):
        text = str(fields.get(name, "")).strip()
        if text:
            table[name] = int(text) if text.isascii() and text.isdecimal() else text
    try:
        host.script(from_mapping(table))
    except UsageError as error:
        return problem(host, caller, 400, "No such fault", f"{error.reason}; {error.remedy}.")
    return see_other("/_simulator/")


async def clear_faults(request: web.Request) -> web.Response:
    host, _, _ = await form(request)
    host.faults.clear()
    return see_other("/_simulator/")


async def restart(request: web.Request) -> web.Response:
    """A restart forgets all sessions, the one that asked for it too."""
    host, _, fields = await form(request)
    host.restart(memory=fields.get("memory") != "false")
    return see_other("/_simulator/")


async def fire(request: web.Request) -> web.Response:
    host, caller, fields = await form(request)
    key, event = str(fields.get("key", "")), str(fields.get("event", ""))
    plugin = host.state.plugins.get(key)
    if plugin is None:
        return problem(host, caller, 404, "No such app", f"{key} is not installed.")
    sent = await host.lifecycle.fire(plugin, event, caller.name)
    if not sent:
        return problem(host, caller, 404, "No such event", f"{key} does not want {event}.")
    return see_other("/_simulator/")


async def icon(request: web.Request) -> web.Response:
    return web.Response(body=ICON, headers={"Content-Type": "image/svg+xml"})


ROUTES = [
    web.get("/_simulator{slash:/?}", control),
    web.get("/_simulator/style.css", style),
    web.get("/_simulator/icon.svg", icon),
    web.post("/_simulator/fault-form", add_fault),
    web.post("/_simulator/clear-faults-form", clear_faults),
    web.post("/_simulator/restart-form", restart),
    web.post("/_simulator/fire-form", fire),
]

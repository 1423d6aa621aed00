"""`/_simulator/`: what a real host does not have. Journal, faults, callbacks, firing of events.

For administrators. What changes something needs our own `Origin`, an allowed `Host` and the form
token of this start, which `GET /_simulator/token` tells: a web page that somebody visits can then
neither script faults nor fire events.
"""

import json
from dataclasses import asdict
from typing import Any

from aiohttp import web

from devserver.errors import UsageError
from devserver.simulator import answers, bodies, gates, rest
from devserver.simulator.answers import Refused
from devserver.simulator.faults import Fault, from_mapping, parse_faults
from devserver.simulator.gates import Caller
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.users import Role

TOKEN_HEADER = "X-Simulator-Token"


def check_host(request: web.Request, host: SimulatedHost) -> None:
    """Raise Refused (421) for a name that is not ours: another site's name led here."""
    name = gates.host_name(request)
    if name not in host.names:
        raise Refused(
            answers.text(421, f"This host is not called {name!r}; --allow-host lets it be.\n")
        )


def check_origin(request: web.Request, host: SimulatedHost) -> None:
    """Raise Refused where a change was not asked for by our own page: 421, 403."""
    check_host(request, host)
    if request.headers.get("Origin") not in (host.origin, f"http://{request.host}"):
        raise Refused(answers.text(403, "The Origin is not this host's own.\n"))


def check_own(request: web.Request, host: SimulatedHost, token: str) -> None:
    """The same, and raise Refused (403) where our token is missing."""
    check_origin(request, host)
    if token != host.form_token:
        raise Refused(answers.text(403, "The form token is not that of this start.\n"))


def _enter(request: web.Request) -> tuple[SimulatedHost, Caller]:
    host = request.app[HOST]
    check_host(request, host)
    rest.enter(request, role=Role.ADMIN, refusal=403, sudo=False)
    if request.method not in ("GET", "HEAD"):
        check_own(request, host, request.headers.get(TOKEN_HEADER, ""))
    return host, request[rest.CALLER]


def _json(body: Any, status: int = 200) -> web.Response:
    return answers.document(body, "application/json", status)


async def token(request: web.Request) -> web.Response:
    host, _ = _enter(request)
    return _json({"token": host.form_token, "header": TOKEN_HEADER, "origin": host.origin})


async def journal(request: web.Request) -> web.Response:
    """`?after=N`: only exchanges with a greater number; `?deviating`: only those that deviate."""
    host, _ = _enter(request)
    after = request.query.get("after", "0")
    least = int(after) if after.isdecimal() and len(after) < 18 else 0
    found = [
        each.to_json()
        for each in host.journal
        if each.number > least and (each.deviations or "deviating" not in request.query)
    ]
    return _json({"exchanges": found})


async def clear_journal(request: web.Request) -> web.Response:
    host, _ = _enter(request)
    host.journal.clear()
    return answers.empty(204)


def _fault_json(fault: Fault, calls: int, struck: int) -> dict[str, Any]:
    return {**asdict(fault), "headers": dict(fault.headers), "calls": calls, "struck": struck}


async def faults(request: web.Request) -> web.Response:
    host, _ = _enter(request)
    return _json({"faults": [_fault_json(*each) for each in host.faults.listed()]})


async def add_faults(request: web.Request) -> web.Response:
    """A JSON fault, a list of them, or the TOML of a faults file."""
    host, _ = _enter(request)
    body = await bodies.read_body(request)
    try:
        if bodies.content_type(request) == "application/toml":
            added = parse_faults(body.decode("utf-8"))
        else:
            document = json.loads(body)
            listed = document if isinstance(document, list) else [document]
            added = tuple(from_mapping(each) for each in listed)
    except UsageError as error:
        return _json({"error": error.reason, "remedy": error.remedy}, 400)
    except (ValueError, RecursionError) as error:
        return _json({"error": f"the body cannot be read: {error}"}, 400)
    host.script(*added)
    return _json({"faults": [_fault_json(*each) for each in host.faults.listed()]})


async def clear_faults(request: web.Request) -> web.Response:
    host, _ = _enter(request)
    host.faults.clear()
    return answers.empty(204)


async def callbacks(request: web.Request) -> web.Response:
    host, _ = _enter(request)
    return _json({"callbacks": [each.to_json() for each in host.callbacks]})


async def fire(request: web.Request) -> web.Response:
    """`{"key": …, "event": …, "body": …}`: send an event that the app declares."""
    host, caller = _enter(request)
    body = await bodies.read_json(request)
    key, event = (body.get("key"), body.get("event")) if isinstance(body, dict) else (None, None)
    if not isinstance(key, str) or not isinstance(event, str) or key not in host.state.plugins:
        return _json({"error": "needs the key of an installed app and an event"}, 400)
    payload = json.dumps(body["body"]).encode() if "body" in body else None
    sent = await host.lifecycle.fire(host.state.plugins[key], event, caller.name, payload)
    return _json({"callbacks": [each.to_json() for each in sent]}, 200 if sent else 404)


async def restart(request: web.Request) -> web.Response:
    """`{"memory": true, "down-ms": 0}`."""
    host, _ = _enter(request)
    body = await bodies.read_json(request)
    try:
        fault = from_mapping({**(body if isinstance(body, dict) else {}), "kind": "restart"})
    except UsageError as error:
        return _json({"error": error.reason, "remedy": error.remedy}, 400)
    host.disturb(fault)
    return answers.empty(204)


ROUTES = [
    web.get("/_simulator/token", token),
    web.get("/_simulator/journal", journal),
    web.delete("/_simulator/journal", clear_journal),
    web.get("/_simulator/faults", faults),
    web.post("/_simulator/faults", add_faults),
    web.delete("/_simulator/faults", clear_faults),
    web.get("/_simulator/callbacks", callbacks),
    web.post("/_simulator/fire", fire),
    web.post("/_simulator/restart", restart),
]

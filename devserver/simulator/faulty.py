"""Carry out the faults that strike a request (`faults` decides which do)."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from devserver.errors import UsageError
from devserver.simulator import answers, rest
from devserver.simulator.faults import Fault, from_header
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.lifecycle import FAR

HEADER = "X-Upm-Simulator-Fault"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STAGES: dict[Handler, str] = {
    rest.installed: "token",
    rest.install: "install",
    rest.pending: "poll",
    rest.new_style_task: "poll",
}

BY_HANDLER = frozenset({"no-token", "steal-token", "forget-task", "endless", "error", "disable"})
"""What the handlers of `rest` carry out themselves."""

LOGIN_PAGE = """<!DOCTYPE html>
<html><head><title>Log in</title></head>
<body><form method="post" action="/login.jsp"><input name="os_username">
<input name="os_password" type="password"></form></body></html>
"""


@web.middleware
async def faulty(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the scripted faults strike, and those that the request itself asks for."""
    host = request.app[HOST]
    request[rest.STRUCK] = ()
    if request.path.startswith(("/_simulator", "/keys/")):
        return await handler(request)
    stage = STAGES.get(request.match_info.handler, "other")
    request[rest.STAGE] = stage
    struck = host.faults.take(stage, f"{request.method} {request.rel_url}")
    try:
        struck += tuple(from_header(each, stage) for each in request.headers.getall(HEADER, ()))
    except UsageError as error:
        return answers.text(400, f"{HEADER}: {error}")
    request[rest.FAULTS] = tuple(each.kind for each in struck)
    request[rest.STRUCK] = tuple(each for each in struck if each.kind in BY_HANDLER)
    for fault in struck:
        if fault.kind in ("latency", "hang", "restart", "clock-skew"):
            await _before(request, host, fault)
        elif not fault.after and (response := await _instead(request, fault)):
            return response
    # `/status` is what answers while a host is starting (upm-protocol.md §5.7).
    if host.starting and not request.path.rstrip("/").endswith("/status"):
        return answers.text(503, "<html><body>Starting</body></html>", "text/html")
    response = await handler(request)
    for fault in struck:
        if fault.kind == "truncate":
            return await _cut(request, response)
        if fault.after and (other := await _instead(request, fault)):
            return other
    return response


async def _before(request: web.Request, host: SimulatedHost, fault: Fault) -> None:
    match fault.kind:
        case "latency":
            await asyncio.sleep(fault.ms / 1000)
        case "hang":
            # Ends when the client hangs up: then aiohttp cancels the handler.
            await asyncio.sleep(fault.ms / 1000 if fault.ms else FAR)
            _abort(request)
        case _:
            host.disturb(fault)


async def _instead(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    match fault.kind:
        case "reset":
            _abort(request)
            return answers.empty(500)  # nobody reads it
        case "status":
            response = answers.text(fault.status, fault.body, "text/html")
            response.headers.update(fault.headers)
            return response
        case "html":
            return answers.text(200, fault.body or LOGIN_PAGE, "text/html")
    return None


def _abort(request: web.Request) -> None:
    """Close the connection so that the client sees a reset, not an end."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


async def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Promise the whole body, send half of it, hang up."""
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or request.transport is None:
        return response
    cut = web.StreamResponse(status=response.status, headers=response.headers)
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    request.transport.close()
    return cut

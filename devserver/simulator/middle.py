"""What stands between the socket and the handlers: journal, answers to trouble, the gates."""

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from devserver.simulator import answers, bodies, gates, rest
from devserver.simulator.answers import Refused
from devserver.simulator.deviations import deviations
from devserver.simulator.gates import Caller
from devserver.simulator.host import HOST
from devserver.simulator.journal import Exchange, shown, shown_path

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def journaled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note every exchange of the host's own; what belongs to the simulator is left out."""
    if request.path.startswith("/_simulator"):
        return await handler(request)
    host = request.app[HOST]
    began = time.perf_counter()
    number = host.journal.next_number()
    response: web.StreamResponse | None = None
    try:
        response = await handler(request)
        return response
    finally:
        caller = request.get(rest.CALLER, Caller())
        stage = request.get(rest.STAGE, "other")
        below = request.path.removeprefix(host.context).removeprefix("/rest/plugins")
        host.journal.add(
            Exchange(
                number=number,
                time=host.now(),
                method=request.method,
                path=shown_path(request.raw_path),
                user=caller.name,
                by=caller.by,
                status=response.status if response is not None and request.transport else None,
                ms=(time.perf_counter() - began) * 1000,
                stage=stage,
                request=shown(request.headers),
                response={} if response is None else shown(response.headers),
                deviations=tuple(
                    deviations(stage, request.method, below, request.query, request.headers)
                    if "/rest/" in request.path
                    else ()
                ),
                faults=request.get(rest.FAULTS, ()),
            )
        )
        host.changed()


@web.middleware
async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal and every failure becomes an answer of the kind a host gives."""
    host = request.app[HOST]
    try:
        return await handler(request)
    except Refused as refused:
        return refused.response
    except web.HTTPMethodNotAllowed as error:
        return answers.empty(405, {"Allow": ",".join(sorted(error.allowed_methods))})
    except web.HTTPException as error:
        if error.status >= 400:
            return answers.empty(error.status)
        raise
    except ConnectionError:
        raise  # nobody is there to be answered
    except Exception:
        referral = host.referral()
        _log.exception("%s %s failed; referral number %s", request.method, request.path, referral)
        return answers.internal_error("An unexpected error occurred.", referral)


@web.middleware
async def gated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The gates before a handler, in a real host's order (upm-protocol.md §5)."""
    host = request.app[HOST]
    caller = gates.log_in(request, host.state, host.base_url, host.cookie)
    request[rest.CALLER] = caller
    exempt = "/rest/" not in request.path or (
        host.profile.multipart_exempt and bodies.content_type(request).startswith("multipart/")
    )  # the pages check their Origin and a form token instead
    try:
        gates.check_xsrf(request, host.origin, host.names, exempt=exempt)
        response = await handler(request)
    except Refused as refused:
        response = refused.response
    if caller.user is not None and not response.prepared:
        response.headers["X-Seraph-LoginReason"] = "OK"
        if caller.by == "password" and not caller.cookie:
            sid = host.state.users.basic_session(caller.name)
            response.set_cookie(host.cookie, sid, path="/", httponly=True, samesite="Lax")
    return response

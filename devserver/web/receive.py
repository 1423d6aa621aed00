"""From a callback's request to its event: verified, told, handed to the app, answered.

A genuine one is answered by the app, so that its word stays decisive (upm-protocol.md §7.2), or
204 where there is no app; a forged one 401, and the app never sees it. One that cannot be judged,
because the target's own key is not to be had, is let pass but proves nothing.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from aiohttp import web

from devserver.backend import Answer, Backend, BackendUnavailable
from devserver.callbacks.call import Call, Finding
from devserver.callbacks.record import Keep, Recorded
from devserver.callbacks.verifier import Verifier
from devserver.events import Bus, CallbackReceived
from devserver.model import CallbackSpec, Verdict
from devserver.web.forwarded import onward
from devserver.web.public import Receive, Received

FORGED = 401
NO_APP = 204


def receiver(
    verifier: Verifier,
    bus: Bus,
    base_url: str,
    *,
    backend: Backend | None = None,
    keep: Keep | None = None,
) -> Receive:
    """What the public port hands callbacks to; *base_url* is the one the descriptor has."""

    async def receive(request: web.Request, spec: CallbackSpec, body: bytes) -> Received:
        started, came = time.perf_counter(), datetime.now(UTC)
        # The host signed the address it was told, not the one it came to us by.
        call = Call(
            method=request.method,
            url=base_url + request.raw_path,
            headers=request.headers,
            body=body,
        )
        finding = await verifier.verify(call, spec, base_url=base_url)
        headers = onward(request, base_url).items()
        answer, trouble = await _answer(request, headers, body, finding, backend)
        ms = (time.perf_counter() - started) * 1000
        bus.publish(
            CallbackReceived(
                time=came,
                target=finding.target,
                event=finding.event,
                verdict=finding.verdict,
                status=answer.status,
                ms=ms,
                path=request.path,
                key=finding.key,
                reason=finding.reason,
            )
        )
        if keep is not None:
            keep(
                Recorded(
                    time=came,
                    finding=finding,
                    method=request.method,
                    path=request.raw_path,
                    headers=tuple(request.headers.items()),
                    body=body,
                    status=answer.status,
                    answer_headers=answer.headers,
                    answer=answer.body,
                    ms=ms,
                    error=trouble,
                )
            )
        if finding.verdict is Verdict.FORGED:
            # Why is for the user alone: it names the targets, and anybody may ask here.
            return Received(answer.status, "its sender has not proved who it is\n")
        return Received(answer.status, trouble, answer.body, answer.headers)

    return receive


async def _answer(
    request: web.Request,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    finding: Finding,
    backend: Backend | None,
) -> tuple[Answer, str]:
    """What the host is answered, and what is wrong with the app where it did not say."""
    if finding.verdict is Verdict.FORGED:
        return Answer(FORGED, (), b""), ""
    if backend is None:
        return Answer(NO_APP, (), b""), ""
    try:
        return await backend.send(request.method, request.raw_path, headers, body), ""
    except BackendUnavailable as trouble:
        return Answer(trouble.status, (), b""), f"{trouble.reason}\n"

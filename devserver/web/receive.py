"""From a callback's request to its event: verified, told, answered.

A genuine one is answered 204, which a host takes for yes where the answer decides about the
installation (upm-protocol.md §7.2); a forged one 401. One that cannot be judged, because the
target's own key is not to be had, is let pass but proves nothing.
"""

import time

from aiohttp import web

from devserver.callbacks.call import Call
from devserver.callbacks.verifier import Verifier
from devserver.events import Bus, CallbackReceived
from devserver.model import CallbackSpec, Verdict
from devserver.web.public import Receive, Received

STATUS = {Verdict.GENUINE: 204, Verdict.UNVERIFIABLE: 204, Verdict.FORGED: 401}


def receiver(verifier: Verifier, bus: Bus, base_url: str) -> Receive:
    """What the public port hands callbacks to; *base_url* is the one the descriptor has."""

    async def receive(request: web.Request, spec: CallbackSpec, body: bytes) -> Received:
        started = time.perf_counter()
        # The host signed the address it was told, not the one it came to us by.
        call = Call(
            method=request.method,
            url=base_url + request.raw_path,
            headers=request.headers,
            body=body,
        )
        finding = await verifier.verify(call, spec.event, base_url=base_url)
        status = STATUS[finding.verdict]
        bus.publish(
            CallbackReceived(
                target=finding.target,
                event=finding.event,
                verdict=finding.verdict,
                status=status,
                ms=(time.perf_counter() - started) * 1000,
                path=request.path,
                key=finding.key,
                reason=finding.reason,
            )
        )
        return Received(status, f"{finding.reason}\n" if finding.reason else "")

    return receive

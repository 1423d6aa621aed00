"""The event loop of every command: one that nothing which hangs elsewhere keeps from ending."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`, but for names that are still being looked up at the end: nobody waits."""
    with asyncio.Runner(loop_factory=_EventLoop) as runner:
        return runner.run(main)


class _EventLoop(asyncio.SelectorEventLoop):
    """Looks names up in threads that may be left behind.

    The system's resolver cannot be interrupted, and takes 10 to 40 s to give up a name server that
    says nothing (a VPN that is down). asyncio would wait for it before the process may end.
    """

    async def getaddrinfo(self, *args: Any, **more: Any) -> Any:
        return await aside(lambda: socket.getaddrinfo(*args, **more))


async def aside(work: Callable[..., Result], *args: Any) -> Result:
    """What *work* gives, from a daemon thread of its own: at the end it is left behind.

    For what may take its time (name servers, browsers, commands for passwords) and leaves nothing
    half done; `asyncio.to_thread` is for what has to be ended, since the process waits for it.
    """
    done: Future[Result] = Future()
    done.set_running_or_notify_cancel()  # whoever waits may be gone by then; it works on

    def act() -> None:
        try:
            result = work(*args)
        except BaseException as error:  # handed to whoever waits
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=act, name="aside", daemon=True).start()
    return await asyncio.wrap_future(done)

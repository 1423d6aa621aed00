"""A simulated host in a thread of its own: for tests that are not asynchronous, and for any others.

Everything here may be called from any thread; what waits raises TimeoutError.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from devserver.simulator.faults import Fault
from devserver.simulator.hooks import Callback
from devserver.simulator.host import SimulatedHost
from devserver.simulator.journal import Exchange
from devserver.simulator.server import simulated_host
from devserver.simulator.state import Plugin

Result = TypeVar("Result")


class ThreadedHost:
    """`with ThreadedHost(profile="dc") as host:`; takes what `simulated_host` takes.

    The port is a free one unless one is given.
    """

    def __init__(self, **options: Any) -> None:
        self._options = {"port": 0, **options}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated host", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(30)
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits for us
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with simulated_host(**self._options) as host:
            self._host = host
            self._ready.set()
            await self._end.wait()

    def _wait_for(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _call(self, function: Callable[[], Result]) -> Result:
        async def call() -> Result:
            return function()

        return self._wait_for(call())

    @property
    def url(self) -> str:
        """The base URL, with the context path: `http://localhost:41234/jira`."""
        return self._host.url

    @property
    def plugins(self) -> dict[str, Plugin]:
        """What is installed, by key."""
        return self._call(lambda: dict(self._host.state.plugins))

    @property
    def callbacks(self) -> list[Callback]:
        """What the host told apps, oldest first."""
        return self._call(lambda: list(self._host.callbacks))

    @property
    def requests(self) -> list[Exchange]:
        """What clients asked, and what they were answered."""
        return self._call(lambda: list(self._host.journal))

    def script(self, *faults: Fault) -> None:
        """Have these go wrong from now on."""
        self._call(lambda: self._host.script(*faults))

    def restart(self, *, memory: bool = True, down_ms: int = 0) -> None:
        """Play a restart of the host."""
        self._call(lambda: self._host.restart(memory=memory, down_ms=down_ms))

    def wait_installed(self, key: str, version: str | None = None, *, within: float = 5) -> Plugin:
        """Wait until the app is installed (with that version). Raises TimeoutError."""
        return self._wait_for(self._host.installed(key, version, within=within))

    def wait_callback(self, event: str, key: str | None = None, *, within: float = 5) -> Callback:
        """Wait until *event* was sent, and return the newest of these calls. TimeoutError."""
        return self._wait_for(self._host.called_back(event, key, within=within))[-1]

    def wait(self, condition: Callable[[SimulatedHost], bool], *, within: float = 5) -> None:
        """Wait until *condition* holds; it is called in the host's thread. Raises TimeoutError."""
        self._wait_for(self._host.wait(lambda: condition(self._host), within=within))

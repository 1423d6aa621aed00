"""The simulated host: a UPM over HTTP that real clients cannot tell from a real one.

    async with simulated_host(port=0) as host:
        ...  # host.url, host.script(Fault(kind="reset", stage="poll")), await host.installed(key)

docs/simulator.md has the whole of it. Nothing heavy is imported before a name is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devserver.simulator.faults import Fault
    from devserver.simulator.host import SimulatedHost
    from devserver.simulator.server import simulated_host
    from devserver.simulator.threaded import ThreadedHost

__all__ = ["Fault", "SimulatedHost", "ThreadedHost", "simulated_host"]

_HOMES = {
    "Fault": "faults",
    "SimulatedHost": "host",
    "ThreadedHost": "threaded",
    "simulated_host": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no {name}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""pytest's `upm_host`: a simulated host for the tests of whoever talks to a UPM.

    @pytest.mark.upm_host(profile="dc")
    def test_mine(upm_host): ...

Nothing heavy is imported until a test asks for a host.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from devserver.simulator.threaded import ThreadedHost


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "upm_host(**options): what devserver.simulator.simulated_host takes, for `upm_host`",
    )


@pytest.fixture
def upm_hosts() -> "Iterator[Callable[..., ThreadedHost]]":
    """Starts hosts: `upm_hosts(profile="connect")`; all end with the test."""
    from devserver.simulator.threaded import ThreadedHost

    with ExitStack() as stack:

        def start(**options: Any) -> ThreadedHost:
            return stack.enter_context(ThreadedHost(**options))

        yield start


@pytest.fixture
def upm_host(
    request: pytest.FixtureRequest, upm_hosts: "Callable[..., ThreadedHost]"
) -> "ThreadedHost":
    """A running host on a free port, with the options of the `upm_host` marker."""
    marker = request.node.get_closest_marker("upm_host")
    return upm_hosts(**(marker.kwargs if marker else {}))

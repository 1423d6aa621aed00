"""The way out: an install under way is awaited, a target that hangs is not."""

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from processes import Process, environment, upm_dev
from projects import Project

from devserver.simulator import Fault, SimulatedHost, simulated_host

KEY = "com.acme.hello"


@pytest.fixture
def install_time() -> float:
    """Seconds that the host takes over an installation."""
    return 0.03


@pytest.fixture
async def host(install_time: float) -> AsyncIterator[SimulatedHost]:
    async with simulated_host(port=0, install_time=install_time) as running:
        yield running


@pytest.fixture
async def serving(tmp_path: Path, host: SimulatedHost) -> AsyncIterator[Process]:
    """`upm-dev serve` of a project, with *host* as its target."""
    project = Project(tmp_path / "hello")
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"))
    command = ("serve", project.root, "--json", "--port", "0", "--target", host.url)
    async with upm_dev(*command, env=env) as process:
        yield process


@pytest.mark.parametrize("install_time", [4.0])
async def test_a_slow_install_is_awaited(host: SimulatedHost, serving: Process) -> None:
    """However long it takes, as long as the target says that it runs; it is said why."""
    await serving.seen("target", state="accepted")
    begun = time.monotonic()

    assert await serving.stop(within=15) == 130
    await serving.ended()

    assert KEY not in host.state.plugins
    assert time.monotonic() - begun > 3.0
    waiting = [each for each in serving.of("notice") if "still installing" in each["message"]]
    assert len(waiting) == 1
    assert not serving.of("stopped")[0].get("left")


@pytest.mark.parametrize("install_time", [2.0])
async def test_a_post_cut_off_by_the_end_is_found_again(
    host: SimulatedHost, serving: Process
) -> None:
    """A signal between the POST and its answer leaves nothing behind."""
    await serving.seen("target", state="registering")

    assert await serving.stop(within=15) == 130
    await serving.ended()

    assert KEY not in host.state.plugins
    assert not serving.of("stopped")[0].get("left")


@pytest.mark.parametrize(
    ("state", "install_time"), [("registering", 4.0), ("accepted", 4.0), ("confirmed", 0.03)]
)
async def test_a_target_that_hangs_is_not_waited_for(
    host: SimulatedHost, serving: Process, state: str
) -> None:
    """Gone long before the request's own limit, and it says what stays there.

    1.5 s on a machine that does nothing else; the bound here leaves room for one that does.
    """
    await serving.seen("target", state=state)
    host.script(Fault(kind="hang", stage="any"))
    begun = time.monotonic()

    assert await serving.stop() == 130
    took = time.monotonic() - begun
    await serving.ended()

    assert took <= 4
    assert any(KEY in each for each in serving.of("stopped")[0]["left"])


@pytest.mark.parametrize("install_time", [30.0])
async def test_a_second_signal_leaves_at_once(serving: Process) -> None:
    """And what is left is told."""
    await serving.seen("target", state="accepted")
    serving.process.send_signal(signal.SIGINT)
    await serving.seen("notice")
    begun = time.monotonic()

    assert await serving.stop() == 130
    await serving.ended()

    assert time.monotonic() - begun < 1.0
    assert any(KEY in each for each in serving.of("stopped")[0]["left"])

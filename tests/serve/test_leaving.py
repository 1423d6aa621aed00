"""The way out: an install under way is awaited, a target that hangs is not."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout
from processes import Process, environment, upm_dev
from projects import Project

from devserver.run import SILENCE_SECONDS
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


def asked_at_the_end(host: SimulatedHost, process: Process) -> list[str]:
    """What *host*'s UPM was asked after *process* had begun to stop.

    Its key may be asked for as well, for a callback that comes meanwhile: nobody waits for that.
    """
    stopping = next(each for each in process.of("notice") if "stopping" in each["message"])
    since = datetime.fromisoformat(stopping["time"]).timestamp()
    return [
        f"{each.method} {each.path}"
        for each in host.journal
        if each.time > since and "/rest/plugins/" in each.path
    ]


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
    """It is asked one question, for one second; what stays there is said.

    The seconds themselves (1.5 in all) are held by `make bench leaving`, which a busy machine does
    not turn red.
    """
    assert SILENCE_SECONDS <= 1.0
    await serving.seen("target", state=state)
    host.script(Fault(kind="hang", stage="any"))

    assert await serving.stop() == 130
    await serving.ended()

    # One that was on its way when the signal came, and the one that is waited for.
    assert len(asked_at_the_end(host, serving)) <= 2
    assert any(KEY in each for each in serving.of("stopped")[0]["left"])


async def test_with_everything_open(tmp_path: Path, host: SimulatedHost) -> None:
    """Five dashboards and a target that hangs: all are let go, and what can be undone is undone."""
    project = Project(tmp_path / "hello")
    async with (
        simulated_host(port=0) as ill,
        upm_dev(
            *("serve", project.root, "--json", "--port", "0"),
            *("--target", host.url, "--target", ill.url),
            env=environment(XDG_STATE_HOME=str(tmp_path / "state")),
        ) as process,
        ClientSession() as client,
        AsyncExitStack() as stack,
    ):
        dashboard = (await process.seen("started"))["urls"]["dashboard"]
        await process.seen("target", state="confirmed")
        await process.seen("target", state="confirmed")
        pages = []
        for _ in range(5):
            live = client.ws_connect(f"{dashboard}/live", headers={"Origin": dashboard})
            pages.append(await stack.enter_async_context(live))
            await pages[-1].receive_json(timeout=10)
        ill.script(Fault(kind="hang", stage="any"))

        assert await process.stop() == 130
        await process.ended()

        assert KEY not in host.state.plugins
        assert len(asked_at_the_end(ill, process)) <= 1
        [left] = process.of("stopped")[0]["left"]
        assert KEY in left
        for page in pages:
            async with asyncio.timeout(10):
                async for _ in page:  # what was told before the end
                    pass
            assert page.closed


async def test_whoever_calls_before_anything_is_registered_is_answered(
    tmp_path: Path, host: SimulatedHost
) -> None:
    """The port answers though the only target never does, and a signal ends both."""
    project = Project(tmp_path / "hello")
    host.script(Fault(kind="hang", stage="any"))
    command = ("serve", project.root, "--json", "--port", "0", "--target", host.url)
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"))
    async with upm_dev(*command, env=env) as process, ClientSession() as client:
        descriptor = (await process.seen("started"))["urls"]["descriptor"]
        await process.seen("published")
        async with client.get(descriptor, timeout=ClientTimeout(10)) as answer:
            assert (answer.status, KEY in await answer.text()) == (200, True)
        assert await process.stop() == 130


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

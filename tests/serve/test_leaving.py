"""The way out: an install under way is awaited, a target that hangs is not."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout
from processes import Process, environment, upm_dev
from projects import Project

from devserver.cli.serve import serving as loop_of
from devserver.run import SILENCE_SECONDS
from devserver.settings import load
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


async def test_a_second_signal_ends_what_did_not_heed_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that takes the first cancellation for its own keeps nobody."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    project, heard = Project(tmp_path / "hello"), asyncio.Event()

    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        heard.set()
        await asyncio.Event().wait()

    flags = {"json": True, "port": 0}
    with loop_of(load(project.root, flags, {}), flags) as serve, serve.bus.reading() as events:
        serve.also.append(("deaf", deaf))
        running = asyncio.create_task(serve.run())
        async with asyncio.timeout(20):
            await anext(each async for each in events if getattr(each, "state", "") == "confirmed")
            os.kill(os.getpid(), signal.SIGINT)
            await heard.wait()
            assert not running.done()
            os.kill(os.getpid(), signal.SIGINT)

            assert await running == 130


@pytest.fixture
def silent_names(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """A command behind which names are asked of a server that says nothing: a VPN that is down."""
    address = "127.0.53.1"
    settings = tmp_path / "resolv.conf"
    settings.write_text(f"nameserver {address}\n")
    mount = f"mount --bind {settings} /etc/resolv.conf"
    alone = ("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind((address, 53))
            subprocess.run((*alone, "true"), check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"cannot be another name server here: {error}")
        yield alone


async def test_a_name_server_that_says_nothing_is_not_awaited(
    tmp_path: Path, silent_names: tuple[str, ...]
) -> None:
    """The system's resolver takes its time to give up; whoever leaves does not wait for it."""
    project = Project(tmp_path / "hello")
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"), UPM_DEV_PASSWORD="x")
    command = ("serve", project.root, "--json", "--port", "0", "--yes")
    target = ("--target", "https://jira.example.com/jira", "--user", "me")
    async with upm_dev(*command, *target, env=env, inside=silent_names) as process:
        await process.seen("published")
        begun = time.monotonic()

        assert await process.stop() == 130

        assert time.monotonic() - begun < 3.0


async def test_a_browser_that_stays_is_not_awaited(tmp_path: Path) -> None:
    """One that is a program of the terminal, or slow to start, is left to itself."""
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\ntouch $0.opened\nexec sleep 8 >/dev/null 2>&1\n")
    browser.chmod(0o755)
    project = Project(tmp_path / "hello")
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"), BROWSER=f"{browser} %s")
    async with upm_dev(
        "serve", project.root, "--json", "--port", "0", "--open", env=env
    ) as process:
        await process.seen("target", state="confirmed")
        async with asyncio.timeout(10):
            while not browser.with_name("browser.opened").exists():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        begun = time.monotonic()

        assert await process.stop(signal.SIGTERM) == 130

        assert time.monotonic() - begun < 4.0

"""kill -9 at every moment of an installation: the journal's account equals what the host has."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from registrar.house import house, running

from devserver.model import TargetState
from devserver.simulator import Fault, SimulatedHost
from devserver.upm.journal import Journal

KEY = "com.example.hello"
TESTS = str(Path(__file__).parent.parent)
CHILD = f"""
import asyncio, os, signal, sys
sys.path.insert(0, {TESTS!r})
from pathlib import Path
from registrar.house import house
from devserver.upm.journal import Journal

url, journal, moment = sys.argv[1:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def hear(event):
    if moment in (event.type, getattr(event, "state", None)):
        die()

async def main():
    async with house(url, journal=Journal(Path(journal)), prepared=True) as our:
        with our.bus.listening(hear):
            our.save()
            if moment.isdigit():
                asyncio.get_running_loop().call_later(int(moment) / 1000, die)
            await asyncio.sleep(20)

asyncio.run(main())
"""
SLOW = {
    "token": Fault(kind="latency", stage="token", ms=500, times=1),
    "lookup": Fault(kind="latency", stage="other", match="GET .*-key", ms=500, times=1),
    "post": Fault(kind="latency", stage="install", ms=500, times=1),
    "poll": Fault(kind="latency", stage="poll", ms=500, times=1),
}
MOMENTS = (
    "token",
    "lookup",
    "post",
    "registering",
    "accepted",
    "request",
    "fetched",
    "poll",
    "callback",
    "installed",
    "confirmed",
)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_kill(moment: str, host: SimulatedHost, tmp_path: Path) -> None:
    """Whatever was under way, the next run knows what is ours, goes on, and leaves nothing."""
    path = tmp_path / "journal.sqlite"
    if moment in SLOW:
        host.script(SLOW[moment])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, host.url, str(path), "250" if moment in SLOW else moment
    )
    async with asyncio.timeout(20):
        assert await process.wait() == -signal.SIGKILL
    await host.wait(lambda: all(task.done for task in host.state.tasks))
    journal = Journal(path)
    if KEY in host.state.plugins:
        assert [each.key for each in journal.entries() if each.is_orphan] == [KEY]

    async with house(host, journal=journal, run=False) as our:
        async with running(our):
            our.save(version="2.0")
            await our.until(TargetState.CONFIRMED)
            assert [each.key for each in journal.entries()] == [KEY]
            assert host.state.plugins[KEY].app.version == "2.0"

        assert await our.registrars[0].retire() == ()

    assert journal.entries() == ()
    assert KEY not in host.state.plugins

"""A hundred targets, five thousand edits, a target that hangs: bounded in all three."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from registrar.house import house, running
from yarl import URL

from devserver.model import TargetState
from devserver.registrar import Limits
from devserver.simulator import Fault, simulated_host
from devserver.upm.wire import POOL

TARGETS = 100
TESTS = str(Path(__file__).parent.parent)
QUIET = Limits(gap=0.0, confirm=2.0)


def connections_to(ports: set[int | None]) -> int:
    """How many connections this machine has open to *ports*, as far as it says."""
    found = 0
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text(encoding="ascii").splitlines() if table.exists() else []
        for line in lines[1:]:
            _, _, theirs, state, *_ = line.split()
            found += state == "01" and int(theirs.rpartition(":")[2], 16) in ports
    return found


async def test_a_hundred_targets_at_once() -> None:
    """All of them, within one pool of connections; each has what is its own."""
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(simulated_host(port=0)) for _ in range(4)]
        names = tuple(f"t{number}" for number in range(TARGETS))
        our = await stack.enter_async_context(
            house(*hosts * (TARGETS // 4), names=names, limits=QUIET, request_limit=20.0)
        )
        keys = {name: f"com.example.k{number}" for number, name in enumerate(names)}
        our.save_each(keys)
        ports = {URL(each.url).port for each in hosts}
        most = 0
        for name in names:
            await our.until(TargetState.CONFIRMED, target=name, within=20)
            most = max(most, connections_to(ports))

        assert most <= POOL
        assert most or not Path("/proc/net/tcp").exists()
        for number, key in enumerate(keys.values()):
            assert key in hosts[number % 4].state.plugins


async def test_a_hanging_target_delays_nobody() -> None:
    """Not the others' registration, and not the exit."""
    async with (
        simulated_host(port=0) as good,
        simulated_host(port=0, faults=[Fault(kind="hang", stage="any")]) as bad,
        house(good, bad, names=("jira", "slow"), run=False) as our,
    ):
        async with running(our):
            our.save()
            event = await our.until(TargetState.CONFIRMED, within=2.0)
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for each in our.registrars:
                tasks.create_task(each.retire(1.0))
        took = time.monotonic() - began

    assert event.target == "jira"
    assert took < 1.5
    assert "com.example.hello" not in good.state.plugins


CHILD = f"""
import asyncio, gc, resource, sys
sys.path.insert(0, {TESTS!r})
from registrar.house import QUICK, house
from dataclasses import replace
from devserver.model import TargetState

async def main():
    limits = replace(QUICK, gap=0.0)
    async with house(sys.argv[1], limits=limits, prepared=True) as our:
        async def edit(first, last):
            for number in range(first, last):
                our.save(version=f"1.{{number}}")
                await our.until(TargetState.CONFIRMED, revision=f"r{{our.number}}")
                our.events.clear()
            gc.collect()
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = await edit(0, int(sys.argv[2]))
        after = await edit(int(sys.argv[2]), int(sys.argv[3]))
        print(before, after)

asyncio.run(main())
"""


async def test_memory_does_not_grow_with_edits() -> None:
    """What is kept is bounded: the last revisions, requests and callbacks, whatever came before."""
    async with simulated_host(port=0, install_time=0.0) as host:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, host.url, "100", "600", stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(50):
            out, _ = await child.communicate()
    before, after = map(int, out.split())

    assert after < before * 1.1

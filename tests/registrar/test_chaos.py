"""Two hundred edits against a host that does everything wrong: the end is right all the same."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from registrar.house import House, house, running

from devserver.events import Event, RequestServed, TargetChanged
from devserver.model import TargetState
from devserver.registrar import Limits
from devserver.simulator import Fault, simulated_host
from devserver.upm.journal import Journal

KEY = "com.example.hello"
EDITS = 200
LIMITS = Limits(
    confirm=0.2, task=2.0, gap=0.0, first_retry=0.01, last_retry=0.05, side=0.2, check=0.2
)


def faults() -> list[Fault]:
    """Everything that a host or the network does wrong now and then."""
    busy = {"Retry-After": "0.05"}
    return [
        *(
            Fault(kind="reset", stage=stage, after=after, probability=0.04)
            for stage in ("token", "install", "poll", "other")
            for after in (False, True)
        ),
        *(
            Fault(kind="status", stage=stage, status=status, headers=headers, probability=0.03)
            for stage in ("token", "install", "poll", "other")
            for status, headers in ((500, {}), (503, {}), (429, busy))
        ),
        Fault(kind="status", stage="install", status=502, after=True, probability=0.04),
        *(
            Fault(kind="truncate", stage=stage, probability=0.04)
            for stage in ("token", "install", "poll", "other")
        ),
        *(Fault(kind="hang", stage=s, ms=100, probability=0.02) for s in ("install", "poll")),
        Fault(kind="no-token", stage="token", probability=0.1),
        Fault(kind="steal-token", stage="install", probability=0.1),
        Fault(kind="forget-task", stage="poll", probability=0.05),
        Fault(kind="latency", stage="any", ms=20, probability=0.05),
        Fault(kind="restart", stage="poll", memory=False, down_ms=60, probability=0.02),
        Fault(kind="restart", stage="token", memory=True, down_ms=60, probability=0.02),
        Fault(kind="lost", stage="callback", probability=0.2),
        Fault(kind="late", stage="callback", ms=50, probability=0.1),
        Fault(kind="double", stage="callback", probability=0.1),
    ]


EXCUSES = {"TASK-FORGOTTEN", "DRIFT-GONE", "TASK-NOBODY-CAME", "TASK-ENDLESS", "TASK-REFUSED"}
"""What the target itself lost may be asked for again."""


def doubled(events: Sequence[Event]) -> list[str]:
    """The digests that the target was told to fetch twice in a row, with nothing to excuse it."""
    found = []
    last, excused = "", True
    for event in events:
        if isinstance(event, TargetChanged) and event.code in EXCUSES:
            excused = True
        if isinstance(event, RequestServed) and event.digest:
            if event.digest == last and not excused:
                found.append(event.digest)
            last, excused = event.digest, False
    return found


async def edit(our: House, random: Random) -> None:
    for number in range(1, EDITS + 1):
        our.save(version=f"1.{number}")
        await asyncio.sleep(random.choice((0, 0.001, 0.01, 0.05)))


@pytest.mark.parametrize("seed", [1, 2])
async def test_chaos(seed: int, tmp_path: Path) -> None:
    """The last content runs, nothing was registered twice, nothing is left, nobody died."""
    journal = Journal(tmp_path / "journal.sqlite")
    async with (
        simulated_host(port=0, seed=seed, install_time=0.005) as host,
        house(
            host, limits=LIMITS, request_limit=0.3, run=False, prepared=True, journal=journal
        ) as our,
    ):
        host.script(*faults())
        async with running(our):
            await edit(our, Random(seed))
            host.faults.clear()
            await our.wait(
                lambda: (
                    our.states()[-1] in ("confirmed", "unconfirmed")
                    and our.told()[-1].revision == f"r{EDITS}"
                ),
                within=10.0,
            )
        assert host.state.plugins[KEY].app.version == f"1.{EDITS}"

        assert await our.registrars[0].retire() == ()
        assert KEY not in host.state.plugins

    assert journal.entries() == ()
    assert doubled(our.events) == []
    assert our.told()[-1].state is TargetState.UNREGISTERED

"""A pause: saves wait, what is asked for by hand does not."""

import asyncio
import time

from registrar.house import house

from devserver.model import TargetState
from devserver.simulator import SimulatedHost


async def test_saves_wait_until_the_user_resumes(host: SimulatedHost) -> None:
    """Then the newest goes; a registration that was asked for goes at once."""
    async with house(host) as our:
        our.save()
        await our.until(TargetState.CONFIRMED, revision="r1")
        our.registrars[0].pause()
        our.save(version="2.0")
        our.save(version="3.0")
        assert host.state.plugins["com.example.hello"].app.version == "1.0"
        our.registrars[0].again()
        await our.until(TargetState.CONFIRMED, revision="r3")
        our.save(version="4.0")
        await asyncio.sleep(0.3)  # a pause is nothing but time that passes
        resumed = time.monotonic()
        our.registrars[0].pause(False)
        confirmed = await our.until(TargetState.CONFIRMED, revision="r4")
        assert confirmed.ms is not None
        assert confirmed.ms <= (time.monotonic() - resumed) * 1000 + 1
        assert not [each for each in our.told() if each.revision == "r2"]

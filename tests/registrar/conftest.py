"""A simulated host for every test of the registrar."""

from collections.abc import AsyncIterator

import pytest

from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    """A host of the XML era that has nothing else to do."""
    async with simulated_host(port=0) as running:
        yield running

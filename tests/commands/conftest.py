"""A small project, a state folder and a host for every test of a command."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from commands.house import TEMPLATE
from processes import environment

from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small remote app."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "atlassian-plugin.xml.j2").write_text(TEMPLATE)
    (folder / "upm-dev.toml").write_text('[app]\nvariables = { version = "1.0" }\n')
    return folder


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A state folder of the test's own."""
    return environment(XDG_STATE_HOME=str(tmp_path / "state"))


@pytest.fixture
async def host() -> AsyncIterator[SimulatedHost]:
    async with simulated_host(port=0) as running:
        yield running

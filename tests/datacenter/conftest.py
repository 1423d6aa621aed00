"""A plugin project that has been built."""

from pathlib import Path

import pytest
from datacenter.plugins import PluginProject


@pytest.fixture
def project(tmp_path: Path) -> PluginProject:
    made = PluginProject(tmp_path / "hello")
    made.build()
    return made

"""`upm-dev serve` in a plugin project: into the JAR, with that into the product, and proved."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from datacenter.plugins import KEY, PluginProject
from processes import Process, upm_dev

from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
def project(tmp_path: Path) -> PluginProject:
    made = PluginProject(tmp_path / "hello")
    made.build()
    return made


@asynccontextmanager
async def serving(
    project: PluginProject, *arguments: str | Path, profile: str = "dc", awaited: str = "confirmed"
) -> AsyncIterator[tuple[Process, SimulatedHost]]:
    async with simulated_host(port=0, profile=profile) as host:
        target = ("--target", host.url)
        async with upm_dev(
            "serve", project.root, "--json", "--port", "0", *target, *arguments
        ) as serve:
            await serve.seen("target", state=awaited, revision="r1")
            yield serve, host


async def test_an_edit_is_proved_without_a_build(project: PluginProject) -> None:
    """Saved, exchanged in the JAR, uploaded, its mark read back; kept at the end."""
    async with serving(project) as (serve, host):
        first = host.state.plugins[KEY]
        assert first.app.name == "Hello"
        assert first.app.version == "1.0"
        assert "[upm-dev r1 " in first.app.description

        project.edit('key="greet" section', 'key="salute" section')
        confirmed = await serve.seen("target", state="confirmed", revision="r2")
        assert confirmed["by"] == "upm"
        app = host.state.plugins[KEY].app
        assert [each.key for each in app.modules] == ["salute", "hello"]
        assert f"[upm-dev r2 {confirmed['digest'][:12]}]" in app.description
        assert app.description.startswith("Greets.")

        assert await serve.stop() == 130
        await serve.ended()
        assert KEY in host.state.plugins
        assert serve.events[-1]["left"] == [f"jira: {KEY}"]
        uploads = [each for each in host.journal if each.stage == "install"]
        assert len(uploads) == 2

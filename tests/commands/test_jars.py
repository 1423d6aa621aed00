"""`plan` and `status` of a plugin whose descriptor goes into its JAR."""

import asyncio
import json
from pathlib import Path

import pytest
from commands.house import run
from datacenter.plugins import KEY, PluginProject

from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
def plugin(tmp_path: Path) -> PluginProject:
    made = PluginProject(tmp_path / "hello")
    made.build()
    return made


async def shell(requests: list[str], env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", "\n".join(requests), stdout=asyncio.subprocess.PIPE, env=env
    )
    done, _ = await process.communicate()
    return done.decode()


async def test_a_plan_uploads_the_jar_that_would_be_sent(
    plugin: PluginProject, env: dict[str, str], tmp_path: Path
) -> None:
    """Run literally it installs that very JAR, and `status` then knows it for the newest."""
    password = {**env, "UPM_DEV_PASSWORD": "admin"}
    async with simulated_host(port=0, profile="dc") as host:
        target = ("--target", host.url)
        _, out, err = await run(
            "plan", plugin.root, *target, "--json", "--jars", tmp_path / "jars", env=env
        )
        (plan,) = json.loads(out)["targets"]
        assert plan["difference"] == [f"+ {KEY} 1.0 is not installed"], err
        assert not host.state.plugins.get(KEY)

        answered = await shell(plan["requests"], password)
        assert " 202 " in answered.splitlines()[0]
        await host.wait(lambda: all(task.done for task in host.state.tasks))
        code, out, _ = await run("status", plugin.root, *target, "--json", env=env)
        (now,) = json.loads(out)["targets"]
        assert (code, now["newest"], now["ours"]) == (0, True, True)
        _, same, _ = await run("plan", plugin.root, *target, env=env)
        assert "= nothing that UPM could tell" in same

        plugin.edit('key="greet" section', 'key="salute" section')
        _, later, _ = await run("status", plugin.root, *target, env=env)
        _, difference, _ = await run("plan", plugin.root, *target, env=env)

    assert "not the newest" in later
    assert "+ module salute" in difference
    assert "JAR_FOLDER=DIR" in difference


async def test_a_plan_without_jars_names_where_it_looks(
    plugin: PluginProject, env: dict[str, str], tmp_path: Path
) -> None:
    """The folder is the user's to give; the plan can be kept and run later."""
    folder = tmp_path / "jars"
    async with simulated_host(port=0, profile="dc") as host:
        target = ("--target", host.url)
        await run("plan", plugin.root, *target, "--jars", folder, env=env)
        _, out, _ = await run("plan", plugin.root, *target, "--json", env=env)
        (plan,) = json.loads(out)["targets"]
        more = {"UPM_DEV_PASSWORD": "admin", "JAR_FOLDER": str(folder)}
        answered = await shell(plan["requests"], {**env, **more})

    assert " 202 " in answered.splitlines()[0]


async def test_jars_are_for_plugins(
    host: SimulatedHost, project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """A descriptor that goes by itself has none."""
    code, _, err = await run("plan", project, "--target", host.url, "--jars", tmp_path, env=env)

    assert code == 2
    assert "--jars" in err

"""A JAR that does not get in, or that nothing proves to be in: each with its code and its words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from datacenter.plugins import KEY, PluginProject
from processes import Process, upm_dev
from upm.scripted import installing, scripted

from devserver.simulator import Fault, simulated_host

LOST = Fault(kind="error", stage="install", code="upm.pluginInstall.error.response.exception")
"""It has fetched, and says that it could not."""


@asynccontextmanager
async def serving(
    project: PluginProject, target: str, *arguments: str | Path
) -> AsyncIterator[Process]:
    flags = ("--json", "--port", "0", "--target", target, *arguments)
    async with upm_dev("serve", project.root, *flags) as serve:
        yield serve


async def test_an_address_that_leads_nowhere(project: PluginProject) -> None:
    """Nobody came for the JAR, which only we know: said, with the address to use."""
    nowhere = ("--install", "uri", "--public-url", "http://localhost:1")
    async with (
        simulated_host(port=0, profile="dc") as host,
        serving(project, host.url, *nowhere) as serve,
    ):
        told = await serve.seen("target", state="unavailable")

    assert told["code"] == "TASK-NOBODY-CAME"
    assert "nobody fetched hello-1.0.jar from http://localhost:1" in told["reason"]
    assert "host.docker.internal:1 (Docker Desktop)" in told["remedy"]


async def test_fetched_and_said_not_to_be(project: PluginProject) -> None:
    """It came for the JAR, so that the address is not what is wrong."""
    async with (
        simulated_host(port=0, profile="dc", faults=(LOST,)) as host,
        serving(project, host.url, "--install", "uri") as serve,
    ):
        told = await serve.seen("target", state="unavailable")

    assert told["code"] == "TASK-FETCHED-FAILED"
    assert "the target fetched hello-1.0.jar from http://localhost:" in told["reason"]


async def test_a_folder_that_takes_no_jar(project: PluginProject, tmp_path: Path) -> None:
    """Something else bears the JAR's name there: said, and nothing is left beside it."""
    folder = tmp_path / "installed-plugins"
    (folder / "hello-1.0.jar").mkdir(parents=True)
    async with (
        simulated_host(port=0, profile="dc") as host,
        serving(project, host.url, "--install-folder", folder) as serve,
    ):
        told = await serve.seen("target", state="refused")

    assert told["code"] == "JAR-FOLDER"
    assert f"{folder} cannot be written: is a directory" in told["reason"]
    assert [each.name for each in folder.iterdir()] == ["hello-1.0.jar"]


async def test_another_app_in_its_place(project: PluginProject) -> None:
    """What the host says that it installed is not what was sent."""
    async with (
        scripted(by=installing(key="com.acme.other")) as host,
        serving(project, host.url) as serve,
    ):
        told = await serve.seen("target", state="refused")

    assert told["code"] == "TASK-OTHER-KEY"
    assert "com.acme.other" in told["reason"]


@pytest.mark.parametrize(
    ("listed", "state", "code", "words"),
    [
        ("1.0", "unconfirmed", "JAR-NO-MARK", "does not show the description with our mark"),
        ("0.9", "refused", "JAR-NOT-TAKEN", "said that it was done, and still has 0.9"),
    ],
)
async def test_a_host_that_shows_no_mark(
    project: PluginProject, listed: str, state: str, code: str, words: str
) -> None:
    """Of the same version nothing is proved; another one is another build."""
    async with (
        scripted(by=installing(key=KEY, version=listed)) as host,
        serving(project, host.url) as serve,
    ):
        told = await serve.seen("target", state=state)

    assert told["code"] == code
    assert words in told["reason"]
    assert told["remedy"]

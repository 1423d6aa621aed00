"""`upm-dev serve` as a user runs it: a real process, real files, a host in another process."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from processes import Process, environment, upm_dev
from projects import TEMPLATE, Project

from devserver.simulator import Fault, SimulatedHost, simulated_host


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "hello")


@asynccontextmanager
async def serving(
    project: Project, *arguments: str
) -> AsyncIterator[tuple[Process, SimulatedHost]]:
    """Serve *project* to a simulated host, and wait until r1 is confirmed."""
    async with simulated_host(port=0) as host:
        target = ("--target", host.url)
        async with upm_dev(
            "serve", project.root, "--json", "--port", "0", *target, *arguments
        ) as serve:
            await serve.seen("target", state="confirmed", revision="r1")
            yield serve, host


def installs(host: SimulatedHost) -> int:
    return sum(each.stage == "install" for each in host.journal)


async def test_from_the_template_to_the_proof_and_back(project: Project) -> None:
    """Started, rendered, checked, published, confirmed; an edit again; unregistered at the end."""
    async with serving(project) as (serve, host):
        kinds = [event["type"] for event in serve.events if event["type"] != "request"]
        for first, second in (
            ("started", "rendered"),
            ("rendered", "checked"),
            ("checked", "published"),
            ("published", "target"),
        ):
            assert kinds.index(first) < kinds.index(second)
        confirmed = serve.of("target", state="confirmed")[0]
        assert confirmed["by"] == "callback"
        assert confirmed["digest"] == serve.of("published")[0]["digest"]
        assert host.state.plugins["com.acme.hello"].app.version == "1.0"

        project.save(project.template_with("2.0"))
        changed = await serve.seen("changed")
        assert changed["paths"] == ["atlassian-plugin.xml.j2"]
        published = await serve.seen("published", revision="r2")
        assert "version" in str(published["diff"])
        await serve.seen("target", state="confirmed", revision="r2", by="callback")
        assert host.state.plugins["com.acme.hello"].app.version == "2.0"

        assert await serve.stop() == 130
        await serve.ended()
        assert serve.of("target", state="unregistered")
        assert serve.events[-1]["type"] == "stopped"
        assert serve.events[-1]["exit_code"] == 130
        assert "com.acme.hello" not in host.state.plugins


@pytest.mark.parametrize(
    ("broken", "code", "line", "column"),
    [
        (TEMPLATE.replace("</plugin-info>", ""), "G001", 10, 1),
        (TEMPLATE.replace("{{ version }}", "{{ verson }}"), "T002", 4, 17),
        (TEMPLATE.replace(' key="{{ key }}"', ""), "X101", 1, 1),
    ],
    ids=["unclosed tag", "undefined variable", "missing key"],
)
async def test_a_broken_edit_is_withheld(
    project: Project, broken: str, code: str, line: int, column: int
) -> None:
    """It is told with its place, nothing reaches the target, and mending it is confirmed."""
    async with serving(project) as (serve, host):
        served = serve.of("published")[0]
        project.save(broken)

        checked = await serve.seen("checked", errors=1)
        found = checked["diagnostics"][0]
        assert (found["code"], found["file"]) == (code, "atlassian-plugin.xml.j2")
        assert (found["line"], found["column"]) == (line, column)
        withheld = await serve.seen("withheld")
        assert withheld["serving"] == "r1"
        async with aiohttp.ClientSession() as session, session.get(served["url"]) as answer:
            assert answer.headers["ETag"] == f'"{served["digest"]}"'

        project.save(TEMPLATE)
        confirmed = await serve.seen("target", state="confirmed")
        assert (confirmed["revision"], confirmed["by"]) == ("r1", "unchanged")
        assert installs(host) == 1


async def test_a_mistake_in_an_include_points_into_the_include(project: Project) -> None:
    """Line and column are those of the file that has to be edited."""
    async with serving(project) as (serve, _):
        project.save("<general-page key='hello'\n  {% if %}/>\n", project.include)

        checked = await serve.seen("checked", errors=1)

        found = checked["diagnostics"][0]
        assert (found["code"], found["file"], found["line"]) == ("T001", "page.xml.j2", 2)


async def test_a_comment_is_not_registered_again(project: Project) -> None:
    """What the target runs already is confirmed as unchanged, without a request."""
    async with serving(project) as (serve, host):
        project.save(TEMPLATE.replace("<plugin-info>", "<!-- new -->\n  <plugin-info>"))

        confirmed = await serve.seen("target", state="confirmed", revision="r2")

        assert confirmed["by"] == "unchanged"
        assert installs(host) == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
async def test_every_signal_cleans_up(project: Project, how: signal.Signals) -> None:
    """SIGTERM and SIGHUP unregister as Ctrl-C does."""
    async with serving(project) as (serve, host):
        assert await serve.stop(how) == 130
        assert "com.acme.hello" not in host.state.plugins


async def test_keep_leaves_the_app_and_says_so(project: Project) -> None:
    """`--keep`: installed after the end, and named."""
    async with serving(project, "--keep") as (serve, host):
        assert await serve.stop() == 130
        await serve.ended()
        assert serve.events[-1]["left"] == ["jira: com.acme.hello"]
        assert "com.acme.hello" in host.state.plugins


async def test_the_embedded_host_proves_it_too(project: Project) -> None:
    """With no target configured the simulated host of this process takes the app."""
    async with upm_dev("serve", project.root, "--json", "--port", "0") as serve:
        await serve.seen("target", target="simulator", state="confirmed", by="callback")
        assert await serve.stop() == 130
        await serve.ended()
        assert serve.of("target", state="unregistered")


async def test_a_taken_port_is_one_sentence(project: Project) -> None:
    """Exit 3, the flag to use, nothing registered."""
    async with (
        serving(project) as (serve, host),
        upm_dev(
            "serve", project.root, "--json", "--port", str(port_of(serve)), "--target", host.url
        ) as second,
    ):
        assert await second.ended() == 3
        assert f"{port_of(serve)} is already in use" in second.errors
        assert "--port" in second.errors
        assert "Traceback" not in second.errors
        assert installs(host) == 1


def port_of(serve: Process) -> int:
    return int(serve.of("started")[0]["urls"]["descriptor"].split(":")[2].split("/")[0])


async def test_a_target_that_is_away_is_registered_when_it_is_back(project: Project) -> None:
    """Nothing listens: said with the time of the next try, and confirmed once it is there."""
    async with simulated_host(port=0) as host:
        url = host.url
        port = int(url.split(":")[2].split("/")[0])
    async with upm_dev("serve", project.root, "--json", "--port", "0", "--target", url) as serve:
        away = await serve.seen("target", state="unavailable")
        assert away["retry_in"] > 0
        assert away["reason"]
        async with simulated_host(port=port):
            await serve.seen("target", state="confirmed", within=20)


async def test_a_wrong_password_is_asked_once(project: Project) -> None:
    """Rejected, with the remedy, and never tried again with the same secret."""
    async with (
        simulated_host(port=0) as host,
        upm_dev(
            "serve", project.root, "--json", "--port", "0", "--target", host.url,
            env=environment(UPM_DEV_PASSWORD="wrong-secret"),
        ) as serve,
    ):  # fmt: skip
        rejected = await serve.seen("target", state="rejected")
        assert rejected["code"]
        project.save(project.template_with("2.0"))
        await serve.seen("target", state="rejected", revision="r2")
        unauthorised = [each for each in host.journal if each.status == 401]
        assert len(unauthorised) == 1
        assert "wrong-secret" not in str(serve.events)
        assert "wrong-secret" not in serve.errors


async def test_a_second_signal_leaves_at_once(project: Project) -> None:
    """While a hanging target is awaited, another Ctrl-C ends it and says what is left."""
    async with serving(project) as (serve, host):
        host.script(Fault(kind="hang", stage="other", match="^DELETE"))
        serve.process.send_signal(signal.SIGINT)
        await serve.seen("notice", severity="info")
        assert await serve.stop(within=1.0) == 130
        await serve.ended()
        assert serve.events[-1]["left"] == ["jira: com.acme.hello"]

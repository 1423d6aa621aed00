"""Bad input and trouble: one clear message, the right exit code, nothing registered."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from processes import environment, upm_dev
from projects import SETTINGS, TEMPLATE, Project

from devserver.simulator import simulated_host


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "hello")


def serve(project: Project, *arguments: str) -> tuple[str, ...]:
    return ("serve", str(project.root), "--json", "--port", "0", *arguments)


def without_template(project: Project) -> None:
    project.template.unlink()
    project.include.unlink()


def with_two_candidates(project: Project) -> None:
    project.template.rename(project.root / "first.xml.j2")
    project.include.rename(project.root / "second.json.j2")


def with_an_unknown_key(project: Project) -> None:
    project.save(SETTINGS + "variable = 1\n", project.settings)


def with_settings_that_are_no_toml(project: Project) -> None:
    project.save("[app\n", project.settings)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_template, ("S001", "no descriptor", "upm-dev init")),
        (with_two_candidates, ("S002", "first.xml.j2", "second.json.j2", "descriptor")),
        (with_an_unknown_key, ("C002", "upm-dev.toml:3:1", "variables")),
        (with_settings_that_are_no_toml, ("C001", "upm-dev.toml:1")),
    ],
)
async def test_what_keeps_serve_from_starting(
    project: Project, spoil: Callable[[Project], None], words: tuple[str, ...]
) -> None:
    """Exit 2 and a message that names the file and the remedy."""
    spoil(project)

    async with upm_dev(*serve(project)) as process:
        assert await process.ended() == 2

    for word in words:
        assert word in process.errors
    assert "Traceback" not in process.errors


@pytest.mark.parametrize("target", ["localhost", "ftp://localhost/jira", "http://", "nobody"])
async def test_a_target_that_is_no_url(project: Project, target: str) -> None:
    """Exit 2, and the target is named."""
    async with upm_dev(*serve(project, "--target", target)) as process:
        assert await process.ended() == 2

    assert target in process.errors
    assert "Traceback" not in process.errors


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (ENDLESS.encode(), "T005"),
        (b"{{ 'a' * 10 ** 9 }}", "T005"),
        (b"\x00\x01\x02\xff\xfe binary", "S006"),
        ("<atlassian-plugin name='\u00e9'/>".encode("latin-1"), "S006"),
        (b"<!--" + b" " * (10 * 1024 * 1024) + b"-->", "S005"),
        (b'{% include "../outside.xml" %}', "T004"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><atlassian-plugin/>', "G009"),
        (b"", "G001"),
    ],
    ids=["endless", "bomb", "binary", "latin-1", "10 MB", "climbs out", "entity", "empty"],
)
async def test_a_file_that_cannot_be_served(project: Project, content: bytes, code: str) -> None:
    """A diagnostic in bounded time; serve lives on, and mending the file registers it."""
    project.template.write_bytes(content)
    async with (
        simulated_host(port=0) as host,
        upm_dev(*serve(project, "--target", host.url)) as process,
    ):
        checked = await process.seen("checked", within=10)
        assert [each["code"] for each in checked["diagnostics"] if each["severity"] == "error"] == [
            code
        ]
        withheld = await process.seen("withheld")
        assert "serving" not in withheld
        assert not [each for each in host.journal if each.stage == "install"]

        project.save(TEMPLATE)
        await process.seen("target", state="confirmed", revision="r1")
        assert await process.stop() == 130
        await process.ended()
        assert "Traceback" not in process.errors


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + TEMPLATE.encode(), TEMPLATE.replace("\n", "\r\n").encode()],
    ids=["BOM", "CRLF"],
)
async def test_a_file_as_windows_writes_it(project: Project, content: bytes) -> None:
    """A byte order mark and CRLF are fine."""
    project.template.write_bytes(content)
    async with (
        simulated_host(port=0) as host,
        upm_dev(*serve(project, "--target", host.url)) as process,
    ):
        await process.seen("target", state="confirmed", revision="r1")


async def test_an_unreadable_template(project: Project) -> None:
    """A folder where the template should be is a diagnostic, and so is nothing at all."""
    project.save(SETTINGS + 'descriptor = "gone.xml.j2"\n', project.settings)
    async with upm_dev(*serve(project)) as process:
        checked = await process.seen("checked", errors=1)
        assert checked["diagnostics"][0]["code"] == "S003"
        assert "gone.xml.j2" in checked["diagnostics"][0]["message"]

        (project.root / "gone.xml.j2").mkdir()
        checked = await process.seen("checked", errors=1)
        assert checked["diagnostics"][0]["code"] == "S003"


@asynccontextmanager
async def answering(status: int, text: str, **headers: str) -> AsyncIterator[str]:
    """A server that answers everything alike; yields its address."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/jira"
    finally:
        await runner.cleanup()


LOGIN = "<html><title>Log in</title><form action='/login.jsp'></form></html>"


@pytest.mark.parametrize(
    ("status", "states"),
    [
        (200, ("refused", "rejected")),
        (404, ("refused", "unavailable")),
        (401, ("rejected",)),
        (500, ("unavailable",)),
        (302, ("refused", "rejected")),
    ],
)
async def test_a_target_that_is_no_upm(
    project: Project, status: int, states: tuple[str, ...]
) -> None:
    """HTML instead of a UPM is told as what it is, with what to do."""
    headers = {"Location": "https://sso.example.org/login"} if status == 302 else {}
    async with (
        answering(status, LOGIN, **headers) as url,
        upm_dev(*serve(project, "--target", url)) as process,
    ):
        told = await process.seen("target")
        while told["state"] in ("waiting", "registering"):
            told = await process.seen("target")
        assert told["state"] in states
        assert told["code"]
        assert told["reason"]
        assert told["remedy"]
        assert await process.stop() == 130
        await process.ended()
        assert "Traceback" not in process.errors


async def test_a_state_folder_that_cannot_be_used(project: Project, tmp_path: Path) -> None:
    """The journal and the record are said to be broken, each once; the app is registered."""
    state = tmp_path / "state" / "upm-dev"
    state.mkdir(parents=True)
    (state / "journal.sqlite").write_text("no database" * 100)
    (state / "callbacks").write_text("no folder")
    env = environment(XDG_STATE_HOME=str(state.parent))
    async with (
        simulated_host(port=0) as host,
        upm_dev(*serve(project, "--target", host.url), env=env) as process,
    ):
        await process.seen("target", state="confirmed")
        await process.stop()
        await process.ended()
    codes = [each.get("code") for each in process.of("notice", severity="warning")]

    assert codes.count("JOURNAL-BROKEN") == 1
    assert codes.count("RECORD-BROKEN") == 1


async def test_a_project_that_is_moved_away_ends_nothing(project: Project) -> None:
    """Its app cannot be started where nothing is; what was served stays so, and Ctrl-C works."""
    project.save(SETTINGS + 'command = "exit 3"\n', project.settings)
    async with (
        simulated_host(port=0) as host,
        upm_dev(*serve(project, "--target", host.url, "--trust")) as process,
    ):
        await process.seen("target", state="confirmed")
        project.root.rename(project.root.with_name("elsewhere"))
        await process.seen("withheld")
        crashed = await process.seen("app", state="crashed")
        assert "cannot be started" in crashed["detail"]
        assert await process.stop() == 130
        await process.ended()
        assert "Traceback" not in process.errors

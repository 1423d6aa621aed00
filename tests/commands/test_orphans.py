"""What killed runs left: named wherever it is, taken away, or forgotten with its host."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands.house import KEY, register, run
from processes import upm_dev
from upm.scripted import answer, scripted

from devserver.simulator import SimulatedHost, simulated_host
from devserver.upm.journal import Journal

DEAD = "http://localhost:1/jira"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """The user's journal, as a run of a project elsewhere would write it."""
    return Journal(tmp_path / "state" / "upm-dev" / "journal.sqlite", project="/elsewhere")


def kill_all(journal: Journal) -> None:
    """Their processes are over: nobody has this number."""
    journal.close()
    with sqlite3.connect(journal.path) as database:
        database.execute("UPDATE installed SET pid = 4194305")


async def test_they_go_from_wherever_they_are(
    host: SimulatedHost, project: Path, env: dict[str, str], journal: Journal, tmp_path: Path
) -> None:
    """With no target named, and from any folder; what is tended or kept stays."""
    assert (await register(project, host.url, env))[0] == 0
    async with simulated_host(port=0) as other:
        assert (await register(project, other.url, env))[0] == 0
        with sqlite3.connect(journal.path) as database:
            database.execute(
                "UPDATE installed SET pid = 4194305, kept = 0 WHERE url = ?", [host.url]
            )
        code, out, err = await run("unregister", tmp_path, "--orphans", env=env)

        assert code == 0, err
        assert f"{KEY} is gone" in out
        assert KEY not in host.state.plugins
        assert KEY in other.state.plugins
        assert [each.url for each in journal.entries()] == [other.url]


async def test_a_host_that_is_gone_for_good_can_be_forgotten(
    project: Path, env: dict[str, str], journal: Journal
) -> None:
    """Only by asking for it, and only what could not be taken away."""
    journal.note("old", DEAD, KEY, "0" * 64)
    kill_all(journal)
    code, _, err = await run("unregister", project, "--orphans", env=env)
    forgotten, out, _ = await run("unregister", project, "--orphans", "--forget", env=env)
    usage, _, _ = await run("unregister", project, "--forget", "--target", DEAD, env=env)

    assert code == 4
    assert "--orphans --forget" in err
    assert forgotten == 0
    assert "is forgotten" in out
    assert journal.entries() == ()
    assert usage == 2


async def test_another_projects_target_gets_no_password_of_this_one(
    project: Path, env: dict[str, str], journal: Journal
) -> None:
    """The name is the same, the host is not: a secret is bound to where it belongs."""
    no = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    async with scripted([], last=no) as host, scripted([], last=no) as mine:
        with (project / "upm-dev.toml").open("a") as settings:
            settings.write(f'[targets.jira]\nurl = "{mine.url}"\n')
        journal.note("jira", host.url, KEY, "0" * 64)
        journal.note("jira", f"{host.url}-2", KEY, "0" * 64)
        kill_all(journal)
        secret = {**env, "UPM_DEV_JIRA_PASSWORD": "s3cret-of-the-test"}
        code, _, err = await run("unregister", project, "--orphans", env=secret)

    assert code == 5, err
    # The SDK's default for this machine, once for the one origin.
    assert [each.headers["authorization"] for each in host.requests] == ["Basic YWRtaW46YWRtaW4="]
    assert mine.requests == []


async def test_names_from_the_journal_move_no_cursor(
    project: Path, env: dict[str, str], journal: Journal
) -> None:
    """Whoever wrote them there, a terminal shows them as text."""
    journal.note(f"old{ESCAPES}", DEAD, f"{KEY}{ESCAPES}", "0" * 64)
    kill_all(journal)
    _, shown, _ = await run("status", project, env=env)
    _, out, err = await run("unregister", project, "--orphans", env=env)

    assert "<U+001B>[2J" in shown
    for text in (shown, out, err):
        assert not set(text) & set("\x1b\x07\u202e")


async def test_status_names_them_beside_a_broken_descriptor(
    project: Path, env: dict[str, str], journal: Journal
) -> None:
    """The descriptor's mistake is told as well, and is the exit code."""
    (project / "atlassian-plugin.xml.j2").write_text("<atlassian-plugin")
    journal.note("old", DEAD, KEY, "0" * 64)
    kill_all(journal)
    code, out, err = await run("status", project, "--json", "--target", DEAD, env=env)

    assert code == 1
    assert [each["key"] for each in json.loads(out)["orphans"]] == [KEY]
    assert "atlassian-plugin.xml.j2:1" in err


async def test_the_next_serve_says_what_was_left(
    host: SimulatedHost, project: Path, env: dict[str, str], journal: Journal
) -> None:
    """Of any project, with where and since when."""
    journal.note("old", DEAD, KEY, "0" * 64)
    kill_all(journal)
    async with upm_dev(
        "serve", project, "--json", "--port", "0", "--target", host.url, env=env
    ) as serve:
        notice = await serve.seen("notice", severity="warning")

    assert notice["message"].startswith(f"{KEY} was left on old ({DEAD}) by a run in /elsewhere")
    assert "--orphans" in notice["remedy"]


async def test_what_was_removed_is_told_though_the_journal_is_locked(
    host: SimulatedHost, project: Path, env: dict[str, str], journal: Journal
) -> None:
    """The app is gone from the target, whatever can be noted of it."""
    assert (await register(project, host.url, env))[0] == 0
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        code, out, err = await run("unregister", project, "--target", host.url, env=env)

    assert KEY not in host.state.plugins
    assert f"{KEY} is gone" in out
    assert code == 3
    assert "JOURNAL-BROKEN" in err

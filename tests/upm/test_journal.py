"""The journal: what it remembers, for whom, and through what."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devserver.upm.journal import Journal, JournalBroken

URL = "http://localhost:2990/jira"


def test_what_was_noted_is_there_for_the_next_process(tmp_path: Path) -> None:
    """And is gone once it was taken away."""
    path = tmp_path / "deep" / "journal.sqlite"
    journal = Journal(path, project="/home/me/app")
    journal.note("jira", URL, "com.example.a", "d1")
    journal.note("jira", URL, "com.example.a", "d2")
    journal.note("wiki", "http://localhost:1990/wiki", "com.example.a", "d3")
    journal.close()

    other = Journal(path)
    assert [(each.target, each.digest) for each in other.entries()] == [
        ("jira", "d2"),
        ("wiki", "d3"),
    ]
    assert other.entries()[0].project == "/home/me/app"
    other.gone(URL, "com.example.a")
    assert other.entry(URL, "com.example.a") is None
    assert len(journal.entries()) == 1


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """The file, and what SQLite puts beside it; whatever umask says."""
    before = os.umask(0)
    try:
        journal = Journal(tmp_path / "state" / "journal.sqlite")
        journal.note("jira", URL, "a", "d")
    finally:
        os.umask(before)

    files = sorted((tmp_path / "state").iterdir())
    assert [each.name for each in files] == [
        "journal.sqlite",
        "journal.sqlite-shm",
        "journal.sqlite-wal",
    ]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_an_orphan_is_one_whose_process_is_gone(tmp_path: Path) -> None:
    """Killed, it cannot take its app away any more."""
    path = tmp_path / "journal.sqlite"
    code = (
        "import sys, signal, os\n"
        "from pathlib import Path\n"
        "from devserver.upm.journal import Journal\n"
        f"Journal(Path({str(path)!r})).note('jira', {URL!r}, 'a', 'd')\n"
        "print('noted', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"noted\n"
        (alive,) = Journal(path).entries()
        assert not alive.is_orphan
        process.send_signal(signal.SIGKILL)
        process.wait()
        (entry,) = Journal(path).entries()

    assert entry.is_orphan


def test_a_later_process_with_the_same_number_is_another(tmp_path: Path) -> None:
    """Numbers are used again; the time of birth tells."""
    journal = Journal(tmp_path / "journal.sqlite")
    journal.note("jira", URL, "a", "d")
    with sqlite3.connect(journal.path) as connection:
        connection.execute("UPDATE installed SET born = '1'")
    connection.close()

    assert journal.entries()[0].is_orphan


def test_a_journal_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """With its path, and what follows from it."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(JournalBroken, match=r"journal\.sqlite") as caught:
        Journal(path).entries()
    in_a_file = path / "below" / "journal.sqlite"
    with pytest.raises(JournalBroken):
        Journal(in_a_file).note("jira", URL, "a", "d")

    assert caught.value.remedy

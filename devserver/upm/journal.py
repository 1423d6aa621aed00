"""What we installed where, in a file: a crash leaves no orphan, and ours is told from theirs.

One row for each target and key, written before the first POST of a run and taken away when the app
is; so in a loop of edits nothing is written at all. It holds no secret. The file and those that
SQLite puts beside it are readable by their owner alone.
"""

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from devserver import userstate
from devserver.errors import UpmDevError

BUSY_SECONDS = 1.0
"""How long another process may hold the file."""


class JournalBroken(UpmDevError):
    """The journal cannot be used: registration goes on, but a crash would be forgotten."""

    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One app that we put on one target and have not taken away.

    `since` is seconds since the epoch, `pid` and `born` the process that installed it (`born` tells
    it from a later one with the same number; empty where the system does not say). `kept`: it was
    left there on purpose. `digest` is that of a descriptor `anywhere`.
    """

    target: str
    url: str
    key: str
    digest: str
    project: str
    since: float
    pid: int
    born: str = ""
    kept: bool = False

    @property
    def began(self) -> str:
        """`since` as people and scripts read it: 2026-11-25T22:00:00Z."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.since))

    @property
    def is_orphan(self) -> bool:
        """Whether it was to be taken away, and the process that would have done it is gone."""
        return not self.kept and not self.is_tended

    @property
    def is_tended(self) -> bool:
        """Whether the process that installed it still runs."""
        return _runs(self.pid, self.born)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A `serve` that runs: its process, its project, its dashboard, and how targets reach it."""

    pid: int
    born: str
    project: str
    dashboard: str
    address: str


class Journal:
    """The journal at *path*; opened when it is first used.

    Every method raises JournalBroken.
    """

    def __init__(self, path: Path, *, project: str = "") -> None:
        self.path = path
        self._project = project
        self._opened: sqlite3.Connection | None = None

    def note(self, target: str, url: str, key: str, digest: str) -> None:
        """Remember that *key* is about to be installed on the target at *url*."""
        pid = os.getpid()
        row = (target, url, key, digest, self._project, time.time(), pid, _born(pid), False)
        self._run("INSERT OR REPLACE INTO installed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)

    def keep(self, url: str, key: str) -> None:
        """Remember that *key* stays there on purpose."""
        self._run("UPDATE installed SET kept = 1 WHERE url = ? AND key = ?", url, key)

    def gone(self, url: str, key: str) -> None:
        """Forget *key*: it is not on that target any more."""
        self._run("DELETE FROM installed WHERE url = ? AND key = ?", url, key)

    def entry(self, url: str, key: str) -> Entry | None:
        """What we know of *key* on the target at *url*."""
        return next((each for each in self.entries() if (each.url, each.key) == (url, key)), None)

    def entries(self) -> tuple[Entry, ...]:
        """Everything that we installed and have not taken away, oldest first."""
        rows = self._run(
            "SELECT target, url, key, digest, project, since, pid, born, kept FROM installed "
            "ORDER BY since, url, key"
        )
        names = tuple(each.name for each in fields(Entry))
        return tuple(
            Entry(**{**dict(zip(names, row, strict=True)), "kept": bool(row[-1])}) for row in rows
        )

    def serves(self, dashboard: str, address: str) -> None:
        """Let others know that this process serves the project, until `served`."""
        for each in self._run("SELECT pid, born FROM serving"):
            if not _runs(*each):
                self._run("DELETE FROM serving WHERE pid = ?", each[0])
        pid = os.getpid()
        row = (pid, _born(pid), self._project, dashboard, address)
        self._run("INSERT OR REPLACE INTO serving VALUES (?, ?, ?, ?, ?)", *row)

    def served(self) -> None:
        """It does so no longer."""
        self._run("DELETE FROM serving WHERE pid = ?", os.getpid())

    def serving(self, project: str) -> Serving | None:
        """The process that serves *project* now."""
        rows = self._run(
            "SELECT pid, born, project, dashboard, address FROM serving WHERE project = ?", project
        )
        found = (Serving(**dict(zip(_SERVING, row, strict=True))) for row in rows)
        return next((each for each in found if _runs(each.pid, each.born)), None)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            if self._opened is None:
                self._opened = userstate.database(self.path, _TABLES, busy_seconds=BUSY_SECONDS)
            with closing(self._opened.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalBroken(
                f"the journal {self.path} cannot be used: {error}",
                remedy="free some space there or remove the file; upm-dev status then knows "
                "nothing of what earlier runs left behind",
                code="JOURNAL-BROKEN",
            ) from error


def default_path() -> Path:
    """Where the journal is: in the user's state folder."""
    return userstate.folder() / "journal.sqlite"


_TABLES = """
CREATE TABLE IF NOT EXISTS installed (target TEXT NOT NULL, url TEXT NOT NULL, key TEXT NOT NULL,
  digest TEXT NOT NULL, project TEXT NOT NULL, since REAL NOT NULL, pid INTEGER NOT NULL,
  born TEXT NOT NULL, kept INTEGER NOT NULL, PRIMARY KEY (url, key));
CREATE TABLE IF NOT EXISTS serving (pid INTEGER PRIMARY KEY, born TEXT NOT NULL,
  project TEXT NOT NULL, dashboard TEXT NOT NULL, address TEXT NOT NULL);
"""
_SERVING = tuple(each.name for each in fields(Serving))


def _runs(pid: int, born: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, so it runs
    return not born or _born(pid) in ("", born)


def _born(pid: int) -> str:
    """When a process began, in the system's own count; empty where that cannot be had."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name, in parentheses, may hold anything; the start is the 22nd field of all.
    return stat.rpartition(")")[2].split()[19]

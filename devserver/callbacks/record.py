"""What hosts told us, in a file: callbacks to look at and replay, the secrets that they shared.

One SQLite file a project, in the user's state folder, for its owner's eyes; never in the project.
It is bounded, and opened when the first callback comes. Callbacks are kept as they came, secrets
included, so that a replay is true; whoever shows them redacts them.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devserver import userstate
from devserver.callbacks.call import Explanation, Finding
from devserver.errors import UpmDevError
from devserver.model import Verdict

KEPT = 200
"""How many callbacks are kept: forged ones, which anybody can send, and as many others."""
KEPT_BYTES = 64 * 1024 * 1024
"""Bytes of all of them together, at most, of either; the newest stays whatever its size."""
KEPT_NONCES = 10_000
KEPT_SECRETS = 2
"""Of one installation: a host that did not like our answer goes on with the secret before."""
BUSY_SECONDS = 0.2

Headers = tuple[tuple[str, str], ...]


class RecordBroken(UpmDevError):
    """The file cannot be used: callbacks are served, but forgotten at the end."""

    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One callback, what we found, and what the host was answered; `error` where by us alone."""

    finding: Finding
    method: str
    path: str
    """Path and query as they came."""
    headers: Headers
    body: bytes
    status: int
    answer_headers: Headers = ()
    answer: bytes = b""
    ms: float
    error: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    number: int = 0


Keep = Callable[[Recorded], object]


@dataclass(frozen=True, slots=True)
class Tenant:
    """An installation as its host described it last. Holds no secret."""

    target: str
    key: str
    client_key: str
    base_url: str
    event: str
    time: datetime


class Record:
    """The record at *path* (None: in memory); *urls* maps names of targets to their addresses.

    What belongs to a target is kept under its address: a name may come to mean another one. A file
    that cannot be used is told to *warn*, once, and memory takes its place.
    """

    def __init__(
        self,
        path: Path | None = None,
        urls: Mapping[str, str] | None = None,
        *,
        warn: Callable[[RecordBroken], None] = lambda _: None,
        learnt: Callable[[str], None] = lambda _: None,
    ) -> None:
        """*learnt* hears of each secret before it is kept."""
        self.path = path
        self._urls = dict(urls or {})
        self._warn = warn
        self._learnt = learnt
        self._opened: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"Record({str(self.path or 'memory')!r})"

    # -- callbacks --------------------------------------------------------------------------------

    def add(self, recorded: Recorded) -> int:
        """Keep it, at the cost of the oldest of its kind; gives its number."""
        finding = recorded.finding
        (row,) = self._run(
            "INSERT INTO callbacks (time, target, event, verdict, reason, key, explanation, method,"
            " path, headers, body, status, answer_headers, answer, ms, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            recorded.time.timestamp(),
            finding.target,
            finding.event,
            finding.verdict.value,
            finding.reason,
            finding.key,
            finding.explanation.to_json() if finding.explanation else None,
            recorded.method,
            recorded.path,
            json.dumps(recorded.headers),
            recorded.body,
            recorded.status,
            json.dumps(recorded.answer_headers),
            recorded.answer,
            recorded.ms,
            recorded.error,
        )
        number = int(row[0])
        forged = finding.verdict is Verdict.FORGED
        self._run(
            "DELETE FROM callbacks WHERE number IN (SELECT number FROM ("
            "SELECT number, row_number() OVER newer AS place,"
            " sum(length(body) + length(answer) + length(headers) + length(answer_headers)"
            " + length(path) + coalesce(length(explanation), 0)) OVER newer AS bytes FROM callbacks"
            " WHERE (verdict = ?) = ? WINDOW newer AS (ORDER BY number DESC))"
            " WHERE place > ? OR (bytes > ? AND place > 1))",
            Verdict.FORGED.value,
            forged,
            KEPT,
            KEPT_BYTES,
        )
        return number

    def newest(self, limit: int = 2 * KEPT) -> tuple[Recorded, ...]:
        """The last callbacks, newest first, without what only one that is looked at shows."""
        rows = self._run(f"{_SELECT} ORDER BY number DESC LIMIT ?", limit)
        return tuple(_recorded(row) for row in rows)

    def find(self, number: int) -> Recorded | None:
        """The callback with its bodies."""
        rows = self._run(f"{_SELECT_WHOLE} WHERE number = ?", number)
        return _recorded(rows[0]) if rows else None

    def tenants(self) -> tuple[Tenant, ...]:
        """Who has installed us, as far as genuine callbacks said; `target` is its address."""
        rows = self._run("SELECT target, key, client_key, base_url, event, time FROM tenants")
        return tuple(
            Tenant(target, key, client, base_url, event, datetime.fromtimestamp(time, UTC))
            for target, key, client, base_url, event, time in rows
        )

    def meet(self, target: str, key: str, client_key: str, base_url: str, event: str) -> None:
        """Remember what a genuine callback said of its host."""
        self._run(
            "INSERT OR REPLACE INTO tenants VALUES (?, ?, ?, ?, ?, ?)",
            self._url(target),
            key,
            client_key,
            base_url,
            event,
            datetime.now(UTC).timestamp(),
        )
        self._run("DELETE FROM tenants WHERE rowid <= (SELECT max(rowid) FROM tenants) - ?", KEPT)

    # -- what verification remembers --------------------------------------------------------------

    def secrets(self, target: str, key: str) -> tuple[str, ...]:
        """The secrets that *target* has shared for *key*, newest first."""
        rows = self._run(
            "SELECT secret FROM secrets WHERE target = ? AND key = ? ORDER BY rowid DESC",
            self._url(target),
            key,
        )
        return tuple(row[0] for row in rows)

    def every_secret(self) -> tuple[str, ...]:
        """Those of all targets and apps, of earlier runs too."""
        return tuple(secret for (secret,) in self._run("SELECT secret FROM secrets"))

    def learn(self, target: str, key: str, secret: str) -> None:
        self._learnt(secret)
        here = (self._url(target), key)
        self._run("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", *here, secret)
        self._run(
            "DELETE FROM secrets WHERE target = ? AND key = ? AND rowid NOT IN (SELECT rowid FROM"
            " secrets WHERE target = ? AND key = ? ORDER BY rowid DESC LIMIT ?)",
            *here,
            *here,
            KEPT_SECRETS,
        )
        self._run("DELETE FROM secrets WHERE rowid <= (SELECT max(rowid) FROM secrets) - ?", KEPT)

    def forget(self, target: str) -> None:
        """Know nothing of *target* any more: it was set up anew, and starts from nothing too."""
        self._run("DELETE FROM secrets WHERE target = ?", self._url(target))
        self._run("DELETE FROM tenants WHERE target = ?", self._url(target))

    def use(self, nonce: str, now: float, window: float, *, grace: float = 0.0) -> bool:
        """Whether *nonce* was not used within *window* seconds; it is from now on.

        Once more within *grace* seconds of its first use is no second use.
        """
        self._run("DELETE FROM nonces WHERE time <= ?", now - window)
        digest = hashlib.sha256(nonce.encode()).digest()
        before = self._run("SELECT time FROM nonces WHERE nonce = ?", digest)
        if before:
            return bool(now - before[0][0] < grace)
        self._run("INSERT INTO nonces VALUES (?, ?)", digest, now)
        self._run(
            "DELETE FROM nonces WHERE rowid <= (SELECT max(rowid) FROM nonces) - ?", KEPT_NONCES
        )
        return True

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _url(self, target: str) -> str:
        return self._urls.get(target, target)

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            if self._opened is None:
                self._opened = userstate.database(self.path, _TABLES, busy_seconds=BUSY_SECONDS)
            with closing(self._opened.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except (sqlite3.Error, OSError) as error:
            if self.path is None:
                raise
            broken = RecordBroken(
                f"the record of callbacks {self.path} cannot be used: {error}",
                remedy="free some space there or remove the file; until then callbacks are"
                " forgotten when upm-dev ends",
                code="RECORD-BROKEN",
            )
        self.close()
        self.path = None
        self._warn(broken)
        return self._run(statement, *values)


def default_path(root: Path) -> Path:
    """Where the record of the project at *root* is: in the user's state folder."""
    name = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return userstate.folder() / "callbacks" / f"{root.name[:40] or 'project'}-{name}.sqlite"


_COLUMNS = "number, time, target, event, verdict, reason, key, method, path, status, ms, error"
_SELECT = f"SELECT {_COLUMNS} FROM callbacks"
_SELECT_WHOLE = (
    f"SELECT {_COLUMNS}, explanation, headers, body, answer_headers, answer FROM callbacks"
)


def _recorded(row: tuple[Any, ...]) -> Recorded:
    number, time, target, event, verdict, reason, key, method, path, status, ms, error, *rest = row
    explanation, headers, body, answer_headers, answer = rest or (None, "[]", b"", "[]", b"")
    return Recorded(
        number=number,
        time=datetime.fromtimestamp(time, UTC),
        finding=Finding(
            verdict=Verdict(verdict),
            event=event,
            reason=reason,
            target=target,
            key=key,
            explanation=Explanation.from_json(explanation) if explanation else None,
        ),
        method=method,
        path=path,
        headers=_headers(headers),
        body=body,
        status=status,
        answer_headers=_headers(answer_headers),
        answer=answer,
        ms=ms,
        error=error,
    )


def _headers(text: str) -> Headers:
    return tuple((name, value) for name, value in json.loads(text))


_TABLES = """
CREATE TABLE IF NOT EXISTS callbacks (number INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL,
  target TEXT, event TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT, key TEXT, explanation TEXT,
  method TEXT NOT NULL, path TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
  status INTEGER NOT NULL, answer_headers TEXT NOT NULL, answer BLOB NOT NULL, ms REAL NOT NULL,
  error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (target TEXT NOT NULL, key TEXT NOT NULL, secret TEXT NOT NULL,
  UNIQUE (target, key, secret));
CREATE TABLE IF NOT EXISTS tenants (target TEXT NOT NULL, key TEXT NOT NULL,
  client_key TEXT NOT NULL, base_url TEXT NOT NULL, event TEXT NOT NULL, time REAL NOT NULL,
  PRIMARY KEY (target, key));
CREATE TABLE IF NOT EXISTS nonces (nonce BLOB NOT NULL UNIQUE, time REAL NOT NULL);
"""

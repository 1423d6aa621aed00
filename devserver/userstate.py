"""The user's state folder, and what we keep there for its owner's eyes alone."""

import os
import sqlite3
from pathlib import Path


def folder() -> Path:
    """Where our state is on this system; it need not exist yet."""
    from platformdirs import user_state_path  # 21 ms, and most runs keep nothing

    return user_state_path("upm-dev", appauthor=False)


def database(path: Path | None, tables: str, *, busy_seconds: float) -> sqlite3.Connection:
    """The SQLite file at *path*, made with *tables* where it is not there; None: in memory.

    Another process may hold it for *busy_seconds*. Readable by its owner alone, as are the -wal
    and -shm that SQLite puts beside it.

    Raises sqlite3.Error and OSError.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives -wal and -shm the permissions of the file itself.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        path.chmod(0o600)
    connection = sqlite3.connect(path or ":memory:", timeout=busy_seconds, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.executescript(tables)
    return connection

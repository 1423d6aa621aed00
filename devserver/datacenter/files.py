"""What lies in a plugin project, found anew at each look: sources, classes, JARs. Bounded."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MOST = 20_000
"""Files of one folder that are looked at."""
NO_PLUGIN = re.compile(r"-(?:sources|tests|test-sources|javadoc)\.jar$|^original-")
"""JARs that builds put beside the plugin's own."""
OUTPUTS = ("target", "build/libs")


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: where it is, and what tells one content from another."""

    path: Path
    name: str
    """Below the folder that was walked, with `/`."""
    changed: float
    size: int
    inode: int

    @property
    def stamp(self) -> str:
        return f"{self.size} {self.changed:.6f} {self.inode}"


def below(folder: Path, wanted: Callable[[str], bool] | None = None) -> Iterator[File]:
    """The regular files below *folder*, the nearest first; no link is followed.

    *wanted* is asked of each name below the folder; what it does not want costs next to nothing.
    """
    count = 0
    waiting = [("", str(folder))]
    while waiting:
        before, at = waiting.pop(0)
        try:
            with os.scandir(at) as entries:
                listed = sorted(entries, key=lambda each: each.name)
        except OSError:  # not there, or not ours to read: nothing is in it
            continue
        for each in listed:
            count += 1
            if count > MOST:
                return
            name = before + each.name
            if each.is_dir(follow_symlinks=False):
                if not each.name.startswith("."):
                    waiting.append((f"{name}/", each.path))
            elif (wanted is None or wanted(name)) and each.is_file(follow_symlinks=False):
                with suppress(OSError):  # gone since it was listed
                    yield _file(Path(each.path), name, each.stat(follow_symlinks=False))


def _file(path: Path, name: str, known: os.stat_result) -> File:
    return File(path, name, known.st_mtime, known.st_size, known.st_ino)


def of(path: Path, folder: Path) -> File | None:
    """The file at *path*, named below *folder*; None where there is none."""
    try:
        known = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(known.st_mode):
        return None
    return _file(path, path.relative_to(folder).as_posix(), known)


def folders(folder: Path) -> Iterator[Path]:
    """*folder* and those below it, to be watched."""
    if not folder.is_dir():
        return
    for count, (where, names, _) in enumerate(os.walk(folder)):
        if count > MOST // 10:
            return
        names[:] = [each for each in names if not each.startswith(".")]
        yield Path(where)


def _named(root: Path, pattern: str) -> Iterator[Path]:
    """What *pattern* names; `**` follows no link, and nothing hidden is found by a wildcard."""
    with suppress(ValueError):  # a pattern that pathlib does not like names nothing
        for each in root.glob(pattern):
            within = each.relative_to(root).parts
            if not any(part.startswith(".") and part not in pattern for part in within):
                yield each


def jars(root: Path, module: Path, pattern: str | None) -> list[File]:
    """The JARs that may be the plugin's, newest first; *pattern* is the user's word for them."""
    if pattern is not None:
        found = list(islice(_named(root, pattern), MOST))
        if any(each in pattern for each in "*?["):
            found = [each for each in found if not NO_PLUGIN.search(each.name)]
    else:
        found = [
            each
            for output in OUTPUTS
            for each in (module / output).glob("*.jar")
            if not NO_PLUGIN.search(each.name)
        ]
    files = [file for each in found if (file := of(each, root))]
    return sorted(files, key=lambda each: each.changed, reverse=True)

"""What lies in a plugin project, found anew at each look: sources, classes, JARs. Bounded."""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST = 5_000
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


def below(folder: Path, ending: str = "") -> Iterator[File]:
    """The regular files below *folder*, in the order of their names; no link is followed."""
    count = 0
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        try:
            with os.scandir(at) as entries:
                listed = sorted(entries, key=lambda each: each.name)
        except OSError:  # not there, or not ours to read: nothing is in it
            continue
        for each in listed:
            count += 1
            if count > MOST:
                return
            if each.is_dir(follow_symlinks=False):
                if not each.name.startswith("."):
                    waiting.append(Path(each.path))
            elif each.name.endswith(ending) and (found := of(Path(each.path), folder)):
                yield found


def of(path: Path, folder: Path) -> File | None:
    """The file at *path*, named below *folder*; None where there is none."""
    try:
        known = path.stat()
    except OSError:
        return None
    if not path.is_file():
        return None
    name = path.relative_to(folder).as_posix()
    return File(path, name, known.st_mtime, known.st_size, known.st_ino)


def folders(folder: Path) -> Iterator[Path]:
    """*folder* and those below it, to be watched."""
    if not folder.is_dir():
        return
    for count, (where, names, _) in enumerate(os.walk(folder)):
        if count > MOST // 5:
            return
        names[:] = [each for each in names if not each.startswith(".")]
        yield Path(where)


def jars(root: Path, module: Path, pattern: str | None) -> list[File]:
    """The JARs that may be the plugin's, newest first; *pattern* is the user's word for them."""
    if pattern is not None:
        # Path.glob raises for patterns that it does not like.
        named = glob.iglob(pattern, root_dir=root, recursive=True)  # noqa: PTH207
        found = [root / each for each in named]
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

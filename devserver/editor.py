"""Opens a file at a line in the user's editor. Pure but for `open_in`.

Only editors with a window of their own: one that needs the terminal would fight us for it.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from devserver.credentials import for_child

_COLON = ("{file}:{line}:{column}",)
EDITORS: Mapping[str, tuple[str, ...]] = {
    "code": ("--goto", *_COLON),
    "code-insiders": ("--goto", *_COLON),
    "codium": ("--goto", *_COLON),
    "cursor": ("--goto", *_COLON),
    "gedit": ("+{line}:{column}", "{file}"),
    "gvim": ("+{line}", "{file}"),
    "idea": ("--line", "{line}", "--column", "{column}", "{file}"),
    "kate": ("--line", "{line}", "--column", "{column}", "{file}"),
    "mate": ("--line", "{line}:{column}", "{file}"),
    "pycharm": ("--line", "{line}", "--column", "{column}", "{file}"),
    "subl": _COLON,
    "webstorm": ("--line", "{line}", "--column", "{column}", "{file}"),
    "zed": _COLON,
}
"""Commands and what they are told; the file's path is absolute, so it is never an option."""


def arguments(
    environ: Mapping[str, str], file: Path, line: int, column: int
) -> tuple[str, ...] | None:
    """The command that opens *file*; None where `$VISUAL` and `$EDITOR` name none we know."""
    for name in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(environ.get(name, ""))
        except ValueError:  # a quote that is left open
            continue
        how = EDITORS.get(Path(words[0]).name) if words else None
        if how is not None:
            facts = {"file": str(file.absolute()), "line": max(1, line), "column": max(1, column)}
            # Flags that the user gave stay, but for those that make it wait.
            kept = [each for each in words if each not in ("--wait", "-w")]
            return (*kept, *(each.format(**facts) for each in how))
    return None


def name(environ: Mapping[str, str]) -> str | None:
    """What the editor is called, where there is one."""
    found = arguments(environ, Path("/x"), 1, 1)
    return Path(found[0]).name if found and shutil.which(found[0]) else None


def open_in(file: Path, line: int, column: int) -> bool:
    """Open it; False where there is no editor that we know. Never waits for it to end.

    Raises OSError where the editor cannot be started.
    """
    command = arguments(os.environ, file, line, column)
    if command is None or shutil.which(command[0]) is None:
        return False
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=for_child(os.environ),
        start_new_session=True,
    )
    return True

"""What a product logs about our app: read from where its log stood when the installation began."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from devserver import redact

LONGEST = 1024 * 1024
"""Bytes of a log that are looked at after an installation."""
SHOWN = 20
WIDTH = 500
BEGINNING = 4
"""Lines of a record that are shown: the message, the exception, two steps."""
_RECORD = re.compile(r"^(?=\[?\d)", re.MULTILINE)
"""Records begin with their time."""


@dataclass(frozen=True, slots=True)
class Told:
    """Lines of one log."""

    file: str
    lines: tuple[str, ...]


class HostLog:
    """The logs of a product; *files* are named by the user, else those of the SDK are found.

    *clean* takes the secrets out of a line.
    """

    def __init__(
        self,
        module: Path,
        files: Iterable[Path] = (),
        clean: Callable[[str], str] = redact.text,
    ) -> None:
        self._module = module
        self._named = tuple(files)
        self._clean = clean
        self._stood: dict[Path, int] = {}

    def begin(self) -> None:
        """Note where each log ends now."""
        self._stood = {each: _size(each) for each in self._files()}

    def since(self, words: Iterable[str]) -> list[Told]:
        """The lines written since then that hold one of *words*, and what explains them."""
        wanted = tuple(each for each in words if each)
        found = []
        for each in self._files():
            about = islice(_about(_tail(each, self._stood.get(each, 0)), wanted), SHOWN)
            if lines := tuple(self._clean(line)[:WIDTH] for line in about):
                found.append(Told(str(each), lines))
        return found

    def _files(self) -> list[Path]:
        """`target/<product>/home/log/*.log`, as the SDK lays a product out."""
        if self._named:
            return [each for each in self._named if each.is_file()]
        return [each for each in self._module.glob("target/*/home/log/*.log") if each.is_file()][
            :10
        ]


def _about(text: str, words: tuple[str, ...]) -> Iterator[str]:
    """The records that hold one of *words*: how they begin, and of a stack trace its causes."""
    for record in _RECORD.split(text):
        if not any(each in record for each in words):
            continue
        lines = record.splitlines()
        for number, line in enumerate(lines):
            if number < BEGINNING or line.startswith("Caused by"):
                yield line.replace("\t", "  ")


def _tail(file: Path, stood: int) -> str:
    size = _size(file)
    start = stood if stood <= size else 0  # a log that is shorter now was begun anew
    start = max(start, size - LONGEST)
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            return stream.read(LONGEST).decode("utf-8", "replace")
    except OSError:  # rotated away between two looks: then it has nothing to say
        return ""


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0

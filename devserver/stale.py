"""Settings are read once, when we start: a later change of them is told, since it does nothing."""

import asyncio
import tomllib
from collections.abc import Sequence
from pathlib import Path

from devserver.events import Bus, Notice
from devserver.model import Severity
from devserver.settings.files import PYPROJECT

LOOK_EVERY = 1.0
"""Seconds."""


class Stale:
    """Watches the settings *files* of the project at *root*, which were read just now."""

    def __init__(self, bus: Bus, root: Path, files: Sequence[str]) -> None:
        self._bus = bus
        self._files = {name: root / name for name in files}
        self._seen = {name: _said(file, None) for name, file in self._files.items()}

    async def run(self) -> None:
        """Tell each change once, for ever; ends on cancellation alone."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for name, file in self._files.items():
                if (now := _said(file, self._seen[name])) != self._seen[name]:
                    self._seen[name] = now
                    self._tell(name)

    def _tell(self, name: str) -> None:
        self._bus.publish(
            Notice(
                severity=Severity.WARNING,
                message=f"{name} has changed, and was read when upm-dev started",
                remedy="start it again for what is new in it",
            )
        )


def _said(file: Path, before: object) -> object:
    """What *file* says to us: of pyproject.toml that is but a part. None: nothing.

    What cannot be read just now, since no further file can be opened, says what it did *before*.
    """
    try:
        data = file.read_bytes()
        if file.name != PYPROJECT:
            return data
        return tomllib.loads(data.decode()).get("tool", {}).get("upm-dev")
    except (FileNotFoundError, ValueError, AttributeError, RecursionError):
        return None
    except OSError:
        return before

"""What each place says about the settings: flags, environment, `.env`, settings files.

`Layers` reads the places in the order of precedence and keeps every value with where it came from,
and every mistake as a Diagnostic. What the values mean together is for `settings` to say.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from devserver import redact
from devserver.files import contents
from devserver.model import Diagnostic, Position, Severity
from devserver.settings import dotenv, toml
from devserver.settings.table import (
    BY_NAME,
    BY_VARIABLE,
    CONSENTS,
    PREFIX,
    Setting,
    Wrong,
    checked,
    from_text,
)

COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
DOTENV = ".env"
CANNOT_CONSENT = {
    name: "a project cannot " + ("trust itself" if name == "trust" else "agree in your place")
    for name in CONSENTS
}

LIMIT = 1 << 20
"""Bytes of a settings file or a .env: far more than anybody writes."""


class Place(Enum):
    FLAG = 1
    ENVIRONMENT = 2
    DOTENV = 3
    FILE = 4


@dataclass(frozen=True, slots=True)
class Given:
    """One value of a setting, checked, with the place that gave it and its name there."""

    value: Any = field(repr=False)
    place: Place
    position: Position
    label: str


class Layers:
    """Every value that the places give, and every mistake in them.

    Read the places in the order of precedence: `flags`, `environment`, `dotenv`, then `file` for
    each settings file. `best` is then what counts.
    """

    def __init__(self, *, placed: bool = False) -> None:
        """*placed*: whether to find out where in the settings files everything stands."""
        self.placed = placed
        self.root = Path()
        """The project's folder, once it is known."""
        self.given: dict[str, list[Given]] = {}
        self.targets: dict[str, dict[str, Given]] = {}
        self.diagnostics: list[Diagnostic] = []
        self.texts: dict[str, str] = {}
        self.environ: dict[str, str] = {}
        self.dotenv_names: dict[str, Position] = {}
        self.documents: dict[str, Any] = {}
        """What each settings file says, ours only."""

    def best(self, name: str) -> Given | None:
        return next(iter(self.given.get(name, ())), None)

    def note(
        self,
        code: str,
        message: str,
        position: Position,
        fix: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.diagnostics.append(
            Diagnostic(code=code, severity=severity, message=message, position=position, fix=fix)
        )

    def flags(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            if value is None or value is False or value == () or (value, name) == (0, "verbose"):
                continue
            setting = BY_NAME[name]
            raw = list(value) if isinstance(value, tuple) else value
            if setting.kind is str:
                raw = str(raw)
            self.take(setting, raw, Place.FLAG, Position(COMMAND_LINE), f"--{setting.key}")

    def environment(self, environ: Mapping[str, str]) -> None:
        ours = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        for name, value in ours.items():
            self._variable(name, value, Place.ENVIRONMENT, Position(ENVIRONMENT))
        self.environ = {**self.environ, **ours}

    def dotenv(self, root: Path) -> None:
        """Read `.env`; what the environment has already wins."""
        file = root / DOTENV
        text = self.text(file, DOTENV)
        if text is None:
            return
        for line in dotenv.read(text):
            position = Position(DOTENV, line.line, line.column)
            if line.value is None:
                self.note(
                    "C011",
                    f"the line of {line.name} cannot be read",
                    position,
                    f"write it as {line.name}=value; close what you quote",
                )
                continue
            setting = BY_VARIABLE.get(line.name)
            if setting is not None and setting.name in CONSENTS:
                self.note(
                    "C013",
                    CANNOT_CONSENT[setting.name],
                    position,
                    f"give --{setting.key} on the command line, or set the name in the environment",
                )
                continue
            self._variable(line.name, line.value, Place.DOTENV, position)
            self.environ.setdefault(line.name, line.value)
            self.dotenv_names[line.name] = position
        if any(map(_is_secret, self.dotenv_names)):
            self._warn_if_others_read(file)

    def _variable(self, name: str, value: str, place: Place, position: Position) -> None:
        setting = BY_VARIABLE.get(name)
        if setting is None or not value:
            return
        try:
            raw = from_text(setting, value)
        except Wrong as wrong:
            self.note(wrong.code, f"{name}: {wrong.message}", position, wrong.fix)
            return
        self.take(setting, raw, place, position, name)

    def take(
        self, setting: Setting, raw: Any, place: Place, position: Position, label: str
    ) -> None:
        """Check one value and keep it with its place."""
        try:
            value = checked(setting.kind, raw)
            if setting.check is not None:
                value = setting.check(value)
        except Wrong as wrong:
            self.note(wrong.code, f"{label}: {wrong.message}", position, wrong.fix)
            return
        self.given.setdefault(setting.name, []).append(Given(value, place, position, label))

    def text(self, file: Path, name: str) -> str | None:
        """The text of a file that need not be there."""
        try:
            data = contents(file, LIMIT, within=file.parent)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            fix = "make it a file of this folder that you can read"
            self.note("C001", f"{name} cannot be read: {reason}", Position(name), fix)
            return None
        text = toml.decode(data)
        if isinstance(text, toml.Misread):
            self.note(
                "C001",
                f"{name} is not UTF-8: {text.message}",
                Position(name, text.line, text.column),
                "save it as UTF-8",
            )
            return None
        if self.placed:
            self.texts[name] = redact.text(text)
        return text

    def _warn_if_others_read(self, file: Path) -> None:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            self.note(
                "C014",
                f"{file.name} holds a secret and other users of this machine can read it",
                Position(file.name),
                f"chmod 600 {file.name}",
                Severity.WARNING,
            )


def _is_secret(variable: str) -> bool:
    return redact.is_secret_name(variable.rpartition("_")[2])

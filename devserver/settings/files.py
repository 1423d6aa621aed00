"""Settings files: `upm-dev.toml`, and `[tool.upm-dev]` in pyproject.toml, read into the layers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devserver import redact
from devserver.model import Position
from devserver.settings import toml
from devserver.settings.layers import CANNOT_CONSENT, Given, Layers, Place
from devserver.settings.table import (
    BY_NAME,
    BY_PLACE,
    CONSENTS,
    IN_TARGET,
    PREFIX,
    TABLES,
    Wrong,
    checked,
    near,
)

SETTINGS_FILE = "upm-dev.toml"
PYPROJECT = "pyproject.toml"


def read(layers: Layers, root: Path, name: str, above: tuple[str, ...] = ()) -> None:
    """Read a settings file, or the table *above* of one that is mostly somebody else's."""
    text = layers.text(root / name, name)
    if text is None or (above and above[-1] not in text):
        return
    document: Any = toml.read(text)
    if isinstance(document, toml.Misread):
        layers.note(
            "C001",
            f"this is no TOML: {document.message[:1].lower()}{document.message[1:]}",
            Position(name, document.line, document.column),
            "mend the syntax; texts stand in quotes, tables in [brackets]",
        )
        return
    for part in above:
        document = document.get(part) if isinstance(document, dict) else None
    if document is None:
        return
    layers.documents[name] = document
    places = toml.places(text) if layers.placed else toml.Places(text, {}, {})
    _File(layers, name, places, above).read(document)


@dataclass(frozen=True, slots=True)
class _File:
    """One TOML file being read into the layers."""

    layers: Layers
    name: str
    places: toml.Places
    above: tuple[str, ...]

    def read(self, document: Any) -> None:
        if not isinstance(document, dict):
            self._wrong_kind(
                (), Wrong("C003", "this has to be a table", "write [tool.upm-dev.app]")
            )
            return
        for table, content in document.items():
            if table not in TABLES:
                self._unknown_table(table)
            elif not isinstance(content, dict):
                self._wrong_kind(
                    (table,), Wrong("C003", f"{table} has to be a table", f"[{table}]")
                )
            elif table == "targets":
                for target, values in content.items():
                    self._target(target, values)
            else:
                for key, raw in content.items():
                    self._setting(table, key, raw)

    def _setting(self, table: str, key: str, raw: Any) -> None:
        setting = BY_PLACE.get((table, key))
        if setting is None:
            self._unknown((table, key), [each for there, each in BY_PLACE if there == table])
            return
        position = self.places.value(self.name, (*self.above, table, key))
        self.layers.take(setting, raw, Place.FILE, position, f"[{table}] {key}")

    def _target(self, target: str, values: Any) -> None:
        path = ("targets", target)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", target):
            self._note(
                "C004",
                f"{target!r} is no name for a target",
                path,
                "use letters, digits, - and _; it becomes part of URLs and environment names",
            )
            return
        if not isinstance(values, dict):
            fix = f'[targets.{target}] with url = "..."'
            self._wrong_kind(path, Wrong("C003", "a target has to be a table", fix))
            return
        known = self.layers.targets.setdefault(target, {})
        for key, raw in values.items():
            if key not in IN_TARGET:
                self._unknown((*path, key), IN_TARGET)
                continue
            position = self.places.value(self.name, (*self.above, *path, key))
            label = f"[targets.{target}] {key}"
            try:
                value = checked(IN_TARGET[key], raw)
            except Wrong as wrong:
                self.layers.note(wrong.code, f"{label}: {wrong.message}", position, wrong.fix)
                continue
            known.setdefault(key, Given(value, Place.FILE, position, label))
        known.setdefault(
            "",
            Given(
                target,
                Place.FILE,
                self.places.key(self.name, (*self.above, *path)),
                f"[targets.{target}]",
            ),
        )

    def _unknown_table(self, table: str) -> None:
        homes = [where for where, key in BY_PLACE if key == table]
        if homes:
            fix = f"move it below [{homes[0]}]"
        else:
            meant = near(table, TABLES)
            fix = f"did you mean [{meant}]?" if meant else f"there are {_listed(TABLES)}"
        self._note("C002", f"{table} is unknown here", (table,), fix)

    def _unknown(self, path: tuple[str, ...], known: Iterable[str]) -> None:
        *table, key = path
        where = ".".join(table)
        setting = BY_NAME.get(key.replace("-", "_"))
        if redact.is_secret_name(key):
            target = table[1].upper().replace("-", "_").replace(".", "_") + "_" if table[1:] else ""
            self._note(
                "C006",
                f"[{where}] {key}: a settings file holds no secrets",
                path,
                f"put it into {PREFIX}{target}PASSWORD (environment or .env), "
                "or name a password-command",
            )
        elif homes := [there for there, each in BY_PLACE if each == key]:
            self._note("C002", f"[{where}] has no {key}", path, f"move it below [{homes[0]}]")
        elif setting is not None and setting.name in CONSENTS:
            fix = f"give --{setting.key} on the command line"
            self._note("C013", CANNOT_CONSENT[setting.name], path, fix)
        elif meant := near(key, known):
            self._note("C002", f"[{where}] has no {key}", path, f"did you mean {meant}?")
        elif setting is not None and setting.flag:
            fix = f"give --{setting.key}, or set {setting.variable}"
            self._note("C013", f"{key} cannot be set in a file", path, fix)
        else:
            self._note("C002", f"[{where}] has no {key}", path, f"there are {_listed(known)}")

    def _wrong_kind(self, path: tuple[str, ...], wrong: Wrong) -> None:
        self._note(wrong.code, wrong.message, path, wrong.fix)

    def _note(self, code: str, message: str, path: tuple[str, ...], fix: str) -> None:
        position = self.places.key(self.name, (*self.above, *path))
        self.layers.note(code, message, position, fix)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

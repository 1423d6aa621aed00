"""Events as the lines of `--json` hold them."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC
from enum import StrEnum
from typing import Any

from devserver.events.kinds import Event
from devserver.model import Change, Diagnostic

VERSION = 1
"""Of the event format: raised when a field changes its meaning, which none should."""


def to_json(event: Event) -> dict[str, Any]:
    """The event as one line of `--json` holds it."""
    stamp = event.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, Any] = {"v": VERSION, "type": event.type, "time": stamp}
    for each in fields(event):
        if each.name != "time" and (value := getattr(event, each.name)) is not None:
            document[each.name] = plain(value)
    return document


def diagnostic_to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The shape of a diagnostic in `checked` and in `validate --format json`."""
    position = diagnostic.position
    document: dict[str, Any] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": position.file,
        "line": position.line,
        "column": position.column,
        "fix": diagnostic.fix,
    }
    if diagnostic.notes:
        document["notes"] = list(diagnostic.notes)
    return document


def plain(value: Any) -> Any:
    """A value of these events as `json.dumps` takes it."""
    match value:
        case Diagnostic():
            return diagnostic_to_json(value)
        case StrEnum():
            return value.value
        case Change():
            change: dict[str, Any] = {
                "kind": value.kind.value,
                "type": value.type,
                "key": value.key,
            }
            if value.was is not None:
                change["was"] = value.was
            if value.facts:
                change["facts"] = [
                    {"path": fact.path, "old": fact.old, "new": fact.new} for fact in value.facts
                ]
            return change
        case Mapping():
            return {name: plain(each) for name, each in value.items()}
        case tuple() | list():
            return [plain(each) for each in value]
        case float():
            return round(value, 1)
        case _:
            return value

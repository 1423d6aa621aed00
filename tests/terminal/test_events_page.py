"""docs/events.md and the classes say the same."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from devserver import events
from devserver.events import Event, kinds
from devserver.model import TargetState

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
CLASSES = {each.type: each for each in Event.__subclasses__() if each.__module__ == kinds.__name__}


def sections() -> dict[str, list[tuple[str, bool]]]:
    """Heading to its fields, each with whether it may be missing."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        table = body.partition("\n### ")[0]
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, flags=re.MULTILINE)
        found[heading] = [(name, kind.strip().endswith("?")) for name, kind in rows]
    return found


def test_every_event_has_its_section() -> None:
    """In the order of the classes, and no other."""
    headings = [each for each in sections() if each not in ("Diagnostics", "Changes")]

    assert headings == list(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_field_is_listed(name: str) -> None:
    """With a question mark where it may be missing."""
    told = sections()[name]

    there = [
        (each.name, "None" in str(each.type))
        for each in fields(CLASSES[name])
        if each.name != "time"
    ]
    assert told == there


def test_every_state_is_listed() -> None:
    """The states of a target, in their order."""
    table = PAGE.partition("### States")[2].partition("## ")[0]

    assert re.findall(r"^\| `([a-z-]+)` \|", table, flags=re.MULTILINE) == list(TargetState)


def test_the_version_is_told() -> None:
    """Of the format."""
    assert f"the version of this format: {events.VERSION}" in PAGE

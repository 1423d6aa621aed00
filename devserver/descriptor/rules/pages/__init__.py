"""A rule's page: why it is there, what the host says, wrong and right. Read from the TOML beside.

The examples are tests: `MARK` in the wrong one stands where the rule must report.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from devserver.descriptor.document import Context
from devserver.descriptor.project import Project

FOLDER = Path(__file__).parent
"""Not by `importlib.resources`, which imports zipfile: 20 ms."""

MARK = "▸"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of one rule; `context` and `project` say what must be known for it to apply.

    The examples are empty where they could be no text (a JAR).
    """

    code: str
    title: str
    why: str
    host: str
    fix: str
    wrong: str = ""
    right: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    project: Mapping[str, Any] = field(default_factory=dict)

    def known(self) -> Context:
        """The context in which the examples are to be examined."""
        project = None
        if self.project:
            given = dict(self.project)
            if "labels" in given:
                given["labels"] = {name: frozenset(keys) for name, keys in given["labels"].items()}
            for name in ("classes", "packages", "resources"):
                if name in given:
                    given[name] = frozenset(given[name])
            project = Project(**given)
        return Context(**{**self.context, "project": project})


@cache
def pages() -> Mapping[str, Page]:
    """Every page by its rule's id, in order."""
    found = {}
    for file in FOLDER.iterdir():
        if file.name.endswith(".toml"):
            for code, content in tomllib.loads(file.read_text(encoding="utf-8")).items():
                found[code] = Page(code=code, **content)
    return dict(sorted(found.items()))

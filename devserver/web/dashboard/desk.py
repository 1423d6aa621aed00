"""What the pages are made of, and which of them is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from devserver.callbacks.record import Record
from devserver.commands import Do
from devserver.events import Bus
from devserver.publish import Published
from devserver.reading import Shown
from devserver.redact import Redactor
from devserver.traffic import Traffic

VIEWS = {
    "overview": "Overview",
    "descriptor": "Descriptor",
    "traffic": "Traffic",
    "app": "App",
}
ONLY = {"": "all", "callbacks": "callbacks", "in": "to us", "out": "to targets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that is shown, and where what is asked goes."""

    bus: Bus
    published: Published
    traffic: Traffic
    record: Record
    redactor: Redactor
    root: Path
    do: Do
    sources: Callable[[], Mapping[str, str]] = dict
    """The files of the newest look, good or not, as text."""
    shown: Callable[[], Shown | None] = lambda: None
    """The newest good descriptor beside its sources."""
    backend: str | None = None
    command: str | None = None
    editor: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a page's address asks for; anything it does not know is passed over."""

    view: str = "overview"
    rev: str = ""
    """The name of a revision: `r12`; the newest where it is not kept."""
    base: str = ""
    """That of the one it is compared with."""
    target: str = ""
    """Whose rendering is shown, where targets have different ones."""
    item: str = ""
    only: str = ""
    search: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Look":
        view = query.get("view", "overview")
        only = query.get("only", "")
        return cls(
            view if view in VIEWS else "overview",
            query.get("rev", "")[:20],
            query.get("base", "")[:20],
            query.get("target", "")[:200],
            query.get("item", "")[:20],
            only if only in ONLY else "",
            query.get("q", "")[:200],
        )

    @property
    def title(self) -> str:
        """What tells its page from the first one; empty: it is that."""
        return VIEWS[self.view] if self.view != "overview" else ""

    def link(self, **other: str) -> str:
        """The address of this look with something else."""
        asked = {
            "view": self.view,
            "rev": self.rev,
            "base": self.base,
            "target": self.target,
            "item": self.item,
            "only": self.only,
            "q": self.search,
        } | other
        if "view" in other and other["view"] != self.view:
            asked = {"view": other["view"]} | other
        kept = {name: value for name, value in asked.items() if value}
        if kept.get("view") == "overview":
            del kept["view"]
        return f"/?{urlencode(kept)}" if kept else "/"

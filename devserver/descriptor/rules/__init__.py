"""The rules: one module per family, a rule is a small function that yields problems.

    @rule("X101", Severity.ERROR, *XML)
    def key_missing(document: XmlDocument) -> Iterator[Problem]:
        if not document.root.key:
            yield Problem(document.root.here, "the root has no key", 'add key="com.acme.app"')

The severity given to the decorator is the worst that the rule yields: rules below ERROR need not
run before a descriptor is on its way to a target. Pages (why, wrong, right) are in `pages/`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar

from devserver.descriptor.document import Document, Problem
from devserver.model import Kind, Severity

T = TypeVar("T", bound=Document)

XML = (Kind.P2, Kind.REMOTE_XML, Kind.REMOTE_APP)
REMOTE = (Kind.REMOTE_XML, Kind.REMOTE_APP)

_XML = ("file", "root", "details", "modules", "values", "web", "project", "host")
_FAMILIES = {
    Kind.P2: (*_XML, "p2"),
    Kind.REMOTE_XML: (*_XML, "remote"),
    Kind.REMOTE_APP: (*_XML, "remote"),
    Kind.CONNECT_JSON: (
        "file",
        "connect",
        "connect_access",
        "connect_modules",
        "connect_values",
        "host",
    ),
}


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    severity: Severity
    kinds: tuple[Kind, ...]
    check: Callable[[Any], Iterator[Problem]]


_FOUND: dict[str, Rule] = {}


def rule(
    code: str, severity: Severity, *kinds: Kind
) -> Callable[[Callable[[T], Iterator[Problem]]], Callable[[T], Iterator[Problem]]]:
    """Register a rule under its id, which is never given to another."""

    def register(check: Callable[[T], Iterator[Problem]]) -> Callable[[T], Iterator[Problem]]:
        if code in _FOUND:
            raise ValueError(f"{code} is taken")
        _FOUND[code] = Rule(code, severity, kinds, check)
        return check

    return register


@lru_cache
def rules_for(kind: Kind) -> tuple[Rule, ...]:
    """The rules that look at this dialect; only their families are imported."""
    for family in _FAMILIES[kind]:
        import_module(f"{__name__}.{family}")
    return tuple(each for each in _FOUND.values() if kind in each.kinds)


def every_rule() -> tuple[Rule, ...]:
    """All rules, by id."""
    for kind in Kind:
        rules_for(kind)
    return tuple(sorted(_FOUND.values(), key=lambda each: each.code))

"""What the hosts know, as data: module types, names and values per dialect; read when first asked.

`xml.json`: module types of atlassian-plugin.xml. `connect.json`: those of Connect descriptors.
Sources and their confidence: descriptor-formats.md §2 and §4. Lists are never complete: hosts can
be extended, so an unknown name is a question of spelling, not an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
"""Not by `importlib.resources`, which imports zipfile: 20 ms."""


@dataclass(frozen=True, slots=True)
class XmlCatalogue:
    """Of atlassian-plugin.xml.

    `modules` maps a type to `{"products": […], "remote": bool, "class": bool, "attributes": […],
    "children": […], "removed": "…", "instead": "…"}`, each part only where it is known.
    """

    modules: Mapping[str, Mapping[str, Any]]
    params: tuple[str, ...]
    permissions: Mapping[str, tuple[str, ...]]
    events: Mapping[str, tuple[str, ...]]
    applications: tuple[str, ...]
    conditions: tuple[str, ...]
    shortcuts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConnectCatalogue:
    """Of atlassian-connect.json."""

    modules: Mapping[str, Mapping[str, Any]]
    properties: tuple[str, ...]
    scopes: tuple[str, ...]
    bitbucket_scopes: tuple[str, ...]
    events: tuple[str, ...]
    conditions: Mapping[str, tuple[str, ...]]
    parameters: tuple[str, ...]
    blocked_locations: tuple[str, ...]
    lifecycle: tuple[str, ...]
    enumerations: Mapping[str, tuple[str, ...]]


@cache
def xml_catalogue() -> XmlCatalogue:
    return XmlCatalogue(**_read("xml", XmlCatalogue))


@cache
def connect_catalogue() -> ConnectCatalogue:
    return ConnectCatalogue(**_read("connect", ConnectCatalogue))


def _read(name: str, kind: type[XmlCatalogue] | type[ConnectCatalogue]) -> dict[str, Any]:
    content = json.loads((FOLDER / f"{name}.json").read_bytes())
    return {each.name: _frozen(content[each.name]) for each in fields(kind)}


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in value.items()}
    return value

"""J611 to J616 and J618 to J620: what a Connect module's properties may say."""

import re
from collections.abc import Iterator
from typing import Any

from devserver.descriptor.catalogue import connect_catalogue
from devserver.descriptor.document import (
    In,
    JsonDocument,
    JsonModule,
    Problem,
    Replacement,
    opaque,
)
from devserver.descriptor.nearest import nearest
from devserver.descriptor.rules import rule
from devserver.descriptor.rules.connect_kinds import JSON, bitbucket, text
from devserver.model import Severity

PARAMETER = re.compile(r"(?<!\{)\$?\{([A-Za-z][\w.]*)\}(?!\})")
MACROS = frozenset({"dynamicContentMacros", "staticContentMacros"})


@rule("J611", Severity.WARNING, JSON)
def context_parameters(document: JsonDocument) -> Iterator[Problem]:
    known = connect_catalogue().parameters
    folded = {each.replace(".", "").lower(): each for each in known}
    for each in document.modules:
        url = text(each.value.get("url"))
        if "{" not in url or bitbucket(document):
            continue
        own = _identifiers(each)
        for found in PARAMETER.finditer(url):
            name = found[1]
            near = folded.get(re.sub(r"[._]", "", name).lower())
            if near is None and "." in name:
                family = name.partition(".")[0] + "."
                near = nearest(name, [each for each in known if each.startswith(family)])
            if name in known or near is None or name in own or name.startswith("ac."):
                continue  # other products and apps have parameters of their own
            yield Problem(
                each.at("url"),
                f"the host does not know {found[0]}: it sends nothing for it",
                f"did you mean {{{near}}}?",
            )


def _identifiers(module: JsonModule) -> frozenset[str]:
    """The names of a macro's own parameters, which its url may use."""
    parameters = module.value.get("parameters")
    listed = parameters if isinstance(parameters, list) else []
    return frozenset(text(each.get("identifier")) for each in listed if isinstance(each, dict))


def _conditions(document: JsonDocument) -> Iterator[tuple[JsonModule, In, Any]]:
    """Every single condition, and every thing in its place."""
    for each in document.modules:
        for name in ("conditions", "contentPresentConditions"):
            if name in each.value:
                yield from _inside(each, each.at(name), each.value[name])


def _inside(module: JsonModule, at: In, value: Any) -> Iterator[tuple[JsonModule, In, Any]]:
    if not isinstance(value, list):
        yield module, at, value
        return
    for index, each in enumerate(value):
        here = In((*at.path, index))
        inner = [name for name in ("or", "and") if isinstance(each, dict) and name in each]
        if len(inner) == 1 and isinstance(each[inner[0]], list):
            yield from _inside(module, In((*here.path, inner[0])), each[inner[0]])
        else:
            yield module, here, each


def _single(document: JsonDocument) -> Iterator[tuple[JsonModule, In, str]]:
    for module, at, value in _conditions(document):
        if isinstance(value, dict) and isinstance(value.get("condition"), str):
            yield module, In((*at.path, "condition")), value["condition"]


@rule("J612", Severity.WARNING, JSON)
def unknown_condition(document: JsonDocument) -> Iterator[Problem]:
    lists = connect_catalogue().conditions
    known = sorted({name for names in lists.values() for name in names})
    for _, at, name in _single(document):
        if name in known or name.startswith(("/", "http")) or opaque(name) or not name:
            continue
        near = nearest(name, known)
        yield Problem(
            at,
            f'no host is known to have the condition "{name}"',
            f'did you mean "{near}"?' if near else "check its spelling",
            None if near else Severity.INFO,
            edit=Replacement(at, f'"{name}"', f'"{near}"') if near else None,
        )


@rule("J613", Severity.WARNING, JSON)
def remote_condition(document: JsonDocument) -> Iterator[Problem]:
    for _, at, name in _single(document):
        if name.startswith(("/", "http")):
            yield Problem(
                at,
                "a condition that asks the app is slow, and not there for new apps",
                "use entity_property_equal_to",
            )


@rule("J614", Severity.ERROR, JSON)
def condition_shape(document: JsonDocument) -> Iterator[Problem]:
    for _, at, value in _conditions(document):
        if isinstance(value, str) and opaque(value):
            continue
        if at.path[-1] in ("conditions", "contentPresentConditions"):
            yield Problem(at, "conditions is a list", "wrap it in [ ]")
        elif not isinstance(value, dict) or not isinstance(value.get("condition"), str):
            yield Problem(
                at,
                "this is no condition",
                'write {"condition": "…"}, {"or": [ … ]} or {"and": [ … ]}',
            )
        elif "params" in value and not isinstance(value["params"], dict):
            yield Problem(
                In((*at.path, "params")), "params is no object", 'write {"name": "value"}'
            )


@rule("J615", Severity.ERROR, JSON)
def location(document: JsonDocument) -> Iterator[Problem]:
    blocked = connect_catalogue().blocked_locations
    for each in document.modules:
        value = each.value.get("location")
        if value is None or each.type not in (
            "webItems",
            "webPanels",
            "webSections",
            "generalPages",
        ):
            continue
        at = each.at("location")
        if not isinstance(value, str):
            yield Problem(at, f"location is {type(value).__name__}, not a string", "quote it")
        elif value in blocked:
            yield Problem(
                at,
                f'apps may not put anything at "{value}"',
                'choose another, like "system.top.navigation.bar"',
            )
        elif not value.strip() and each.type == "generalPages":
            yield Problem(at, "location is empty", 'write a location, or "none"')


@rule("J616", Severity.WARNING, JSON)
def webhook_event(document: JsonDocument) -> Iterator[Problem]:
    known = connect_catalogue().events
    for each in document.modules:
        event = text(each.value.get("event"))
        if each.type != "webhooks" or not event or event in known or opaque(event) or event == "*":
            continue
        near = f"jira:{event}" if f"jira:{event}" in known else nearest(event, known)
        at = each.at("event")
        if near is None and bitbucket(document):
            continue
        yield Problem(
            at,
            f'no host is known to fire "{event}"',
            f'did you mean "{near}"?' if near else "check its spelling",
            None if near else Severity.INFO,
            edit=Replacement(at, f'"{event}"', f'"{near}"') if near else None,
        )


TARGETS = ("page", "dialog", "inlinedialog", "dialogmodule")


@rule("J618", Severity.WARNING, JSON)
def dialog_target(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        target = each.value.get("target")
        if each.type != "webItems" or not isinstance(target, dict):
            continue
        kind = text(target.get("type", "page"))
        if opaque(kind):
            continue
        if kind.lower() not in TARGETS:
            near = nearest(kind.lower(), TARGETS)
            yield Problem(
                each.at("target", "type"),
                f'target.type "{kind}" is none of {", ".join(TARGETS)}',
                f'did you mean "{near}"?' if near else 'use "dialog"',
            )
        elif kind.lower() == "dialogmodule":
            options = target.get("options")
            if not isinstance(options, dict) or not options.get("key"):
                yield Problem(
                    each.at("target", "options"),
                    "a dialogmodule target names its dialog in options.key",
                    'add "options": {"key": "…"}',
                )


STYLE_CLASS = re.compile(r"[_a-zA-Z]+[_a-zA-Z0-9-]*")


@rule("J619", Severity.ERROR, JSON)
def style_classes(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        classes = each.value.get("styleClasses")
        if not isinstance(classes, list):
            continue
        for index, name in enumerate(classes):
            if isinstance(name, str) and (STYLE_CLASS.fullmatch(name) or opaque(name)):
                continue
            yield Problem(
                each.at("styleClasses", index),
                f"{name!r} is no CSS class name",
                "use letters, digits, dash and underscore; one class in each string",
            )


IDENTIFIER = re.compile(r"[-_a-z0-9.]+")


@rule("J620", Severity.WARNING, JSON)
def macro_parameters(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        parameters = each.value.get("parameters")
        if each.type not in MACROS or not isinstance(parameters, list):
            continue
        for index, parameter in enumerate(parameters):
            if isinstance(parameter, dict):
                yield from _macro_parameter(each, index, parameter)


def _macro_parameter(each: JsonModule, index: int, parameter: dict[str, Any]) -> Iterator[Problem]:
    identifier: Any = parameter.get("identifier")
    plain = isinstance(identifier, str) and not opaque(identifier)
    if plain and not IDENTIFIER.fullmatch(identifier):
        kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", identifier).lower()
        yield Problem(
            each.at("parameters", index, "identifier"),
            f'the identifier "{identifier}" has other than lower case letters, digits, - _ .',
            f'write "{re.sub(r"[^-_a-z0-9.]+", "-", kebab)}"',
            Severity.INFO if IDENTIFIER.fullmatch(identifier.lower()) else None,
        )
    if parameter.get("type") == "enum" and not parameter.get("values"):
        yield Problem(
            each.at("parameters", index),
            "an enum parameter lists its values",
            'add "values": ["…"]',
        )

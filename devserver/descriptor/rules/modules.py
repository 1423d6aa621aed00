"""X201 to X214: what holds for any module."""

import re
from collections import Counter
from collections.abc import Iterator

from devserver.descriptor.catalogue import xml_catalogue
from devserver.descriptor.document import (
    Element,
    Problem,
    Replacement,
    XmlDocument,
    opaque,
)
from devserver.descriptor.nearest import nearest
from devserver.descriptor.rules import XML, rule
from devserver.model import Kind, Severity

KEYLESS = frozenset({"resource", "web-hook", "entity-type", "parameters"})
PLAIN_KEY = re.compile(r"[A-Za-z0-9._-]+")


ANYWHERE = ""
EVERYWHERE = ","
"""Stand for one product or other, and for all: no product is called so."""


def applications(element: Element) -> frozenset[str] | None:
    """The products a module is for; None for all."""
    names = {each.strip().lower() for each in element.get("application").split(",")}
    return frozenset(names - {""}) or None


@rule("X201", Severity.ERROR, *XML)
def key_missing(document: XmlDocument) -> Iterator[Problem]:
    known = xml_catalogue().modules
    own = own_types(document)
    for each in document.modules:
        if each.key or each.tag in KEYLESS:
            continue
        listed = known.get(each.tag)
        severity = None
        if (listed is None or each.tag.startswith("connect-")) and each.tag not in own:
            severity = Severity.INFO  # a type of another plugin, which may not want a key
        yield Problem(
            each.at("key"),
            f"<{each.tag}> has {'an empty' if 'key' in each.attributes else 'no'} key: "
            "the host disables the whole plugin",
            'add a key="…" that no other module has',
            severity,
        )


def own_types(document: XmlDocument) -> frozenset[str]:
    """The module types that this plugin defines itself."""
    return frozenset(each.key for each in document.module("module-type"))


@rule("X202", Severity.ERROR, *XML)
def key_twice(document: XmlDocument) -> Iterator[Problem]:
    times = Counter(each.key for each in document.modules)
    first: dict[tuple[str, str], tuple[int, Element]] = {}
    """By key and product (or ANYWHERE, or EVERYWHERE), with its place in the order of modules."""
    for number, each in enumerate(document.modules):
        if times[each.key] == 1 or not each.key or opaque(each.key):
            continue
        mine = applications(each) or {EVERYWHERE}
        clashes = {ANYWHERE} if EVERYWHERE in mine else {EVERYWHERE, *mine}
        earlier = [first[each.key, name] for name in clashes if (each.key, name) in first]
        if earlier:
            _, other = min(earlier, key=lambda found: found[0])
            yield Problem(
                each.value_at("key"),
                f'the module key "{each.key}" is used twice: the host refuses the plugin',
                "rename one of the two",
                also=((f"<{other.tag}> has it on", other.value_at("key")),),
            )
        for name in (ANYWHERE, *mine):
            first.setdefault((each.key, name), (number, each))


@rule("X203", Severity.ERROR, *XML)
def key_shape(document: XmlDocument) -> Iterator[Problem]:
    for each in document.modules:
        key = each.attributes.get("key", "")
        if not key.strip() or opaque(key) or PLAIN_KEY.fullmatch(key):
            continue
        bad = ":" in key or re.search(r"\s", key.strip())
        what = (
            "a colon"
            if ":" in key
            else "white space"
            if re.search(r"\s", key)
            else "odd characters"
        )
        better = re.sub(r"[^A-Za-z0-9._-]+", "-", key.strip())
        yield Problem(
            each.value_at("key"),
            f'the module key "{key}" holds {what}: references and URLs to it break',
            f'use key="{better}"',
            None if bad else Severity.WARNING,
        )


@rule("X204", Severity.WARNING, *XML)
def unknown_type(document: XmlDocument) -> Iterator[Problem]:
    known = xml_catalogue().modules
    own = own_types(document)
    names = (*known, *own, "plugin-info")
    for each in document.modules:
        if each.tag in known or each.tag in own:
            continue
        near = nearest(each.tag, names)
        looks_alike = near is not None and near != each.tag
        edit = None
        if near is not None and looks_alike:
            edit = Replacement(each.here, f"<{each.tag}", f"<{near}") if not each.children else None
        yield Problem(
            each.here,
            f"<{each.tag}> is no module type that we know",
            f"did you mean <{near}>?" if looks_alike else "fine, if another plugin defines it",
            None if looks_alike else Severity.INFO,
            edit=edit,
        )


@rule("X205", Severity.WARNING, *XML)
def unknown_application(document: XmlDocument) -> Iterator[Problem]:
    known = xml_catalogue().applications
    for each in document.elements:
        if "application" not in each.attributes or opaque(each.get("application")):
            continue
        for name in sorted(applications(each) or ()):
            if name in known:
                continue
            last = name.rpartition(".")[2]
            near = last if last in known else nearest(name, known)
            yield Problem(
                each.value_at("application"),
                f'application="{name}" is no product: every host skips this {each.tag}',
                f'did you mean "{near}"?' if near else f"known: {', '.join(known[:8])}",
            )


@rule("X206", Severity.ERROR, *XML)
def weight(document: XmlDocument) -> Iterator[Problem]:
    for each in document.elements:
        value = each.attributes.get("weight")
        if value is None or opaque(value):
            continue
        if not re.fullmatch(r"\s*-?\d+\s*", value):
            whole = re.fullmatch(r"\s*(-?\d+)\.0*\s*", value)
            at = each.value_at("weight")
            yield Problem(
                at,
                f'weight="{value}" is no whole number',
                f'use weight="{whole[1] if whole else 100}"',
                edit=Replacement(at, value, whole[1]) if whole else None,
            )


@rule("X207", Severity.ERROR, *XML)
def resource_attributes(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("resource"):
        if each.parent is not None and each.parent.tag == "bundle-instructions":
            continue
        name, pattern = "name" in each.attributes, "namePattern" in each.attributes
        location = each.get("location")
        if not each.get("type"):
            yield Problem(each.here, "the resource has no type", 'add type="download"')
        if name and pattern:
            yield Problem(
                each.at("namePattern"), "a resource has either name or namePattern", "remove one"
            )
        elif not name and not pattern:
            yield Problem(
                each.here, "the resource has neither name nor namePattern", 'add name="…"'
            )
        elif "location" not in each.attributes:
            yield from _no_location(each)
        elif pattern and not opaque(location) and not location.endswith("/"):
            at = each.value_at("location")
            yield Problem(
                at,
                "with namePattern the location is a folder, and ends in /",
                f'write location="{location}/"',
                edit=Replacement(at, each.attributes["location"], location + "/"),
            )


def _no_location(each: Element) -> Iterator[Problem]:
    """Inline content stands in place of a location where the module reads it (velocity views)."""
    if not each.text.strip() and not each.children:
        yield Problem(each.here, "the resource has no location", 'add location="…"')


@rule("X208", Severity.ERROR, *XML)
def resource_twice(document: XmlDocument) -> Iterator[Problem]:
    for parent in document.elements:
        seen: dict[tuple[str, str], Element] = {}
        for each in parent.children:
            if each.tag != "resource" or not each.get("name"):
                continue
            name = (each.get("type"), each.get("name"))
            first = seen.setdefault(name, each)
            if first is not each:
                yield Problem(
                    each.value_at("name"),
                    f'two resources of type "{name[0]}" have the name "{name[1]}"',
                    "rename or delete one",
                    also=(("the first is on", first.here),),
                )


@rule("X209", Severity.ERROR, *XML)
def conditions_type(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("conditions"):
        value = each.get("type")
        if value and not opaque(value) and value.upper() not in ("AND", "OR"):
            yield Problem(
                each.value_at("type"),
                f'conditions of type "{value}": hosts know AND and OR alone',
                f'write type="{"OR" if value.lower() in ("any", "some") else "AND"}"',
            )


@rule("X210", Severity.ERROR, Kind.P2)
def condition_class(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("condition"):
        if each.get("class") or "url" in each.attributes or not _in_fragment(each):
            continue
        why = " (name is for remote apps)" if each.get("name") else ""
        yield Problem(
            each.here,
            f"the condition has no class{why}",
            'add class="…" with the full name of the Java class',
        )


def _in_fragment(condition: Element) -> bool:
    """Whether the condition belongs to a module that is known to load classes for it."""
    holder = condition.parent
    while holder is not None and holder.tag == "conditions":
        holder = holder.parent
    return holder is not None and holder.tag in (
        "web-item",
        "web-section",
        "web-panel",
        "web-resource",
        "client-resource",
        "blueprint",
    )


@rule("X211", Severity.WARNING, Kind.P2)
def condition_reads_url(document: XmlDocument) -> Iterator[Problem]:
    for resource in document.module("web-resource"):
        wrong = [
            each
            for each in resource.walk()
            if each.tag == "condition"
            and each.get("class")
            and not opaque(each.get("class"))
            and "UrlReading" not in each.get("class")
        ]
        if wrong:
            name = wrong[0].get("class").rpartition(".")[2]
            yield Problem(
                wrong[0].value_at("class"),
                f"{name} does not look like a UrlReadingCondition: the resource is not batched, "
                "or the condition sees no user (Jira 7, Confluence 6 and later)",
                "implement UrlReadingCondition",
            )


@rule("X214", Severity.INFO, *XML)
def camel_case(document: XmlDocument) -> Iterator[Problem]:
    for each in (document.root, *document.modules):
        if each is not document.root and each.tag not in CHECKED_ATTRIBUTES:
            continue
        for name in each.attributes:
            if name in CAMEL_ALLOWED or name.islower() or not re.search(r"[a-z][A-Z]", name):
                continue
            kebab = re.sub(r"(?<=[a-z])([A-Z])", lambda found: "-" + found[1].lower(), name)
            yield Problem(
                each.at(name),
                f"nothing reads the attribute {name}: attributes are spelt with dashes",
                f"did you mean {kebab}?",
            )


CAMEL_ALLOWED = frozenset(
    ["namePattern", "pluginsVersion", "noNamespaceSchemaLocation", "schemaLocation", "minVersion"]
)
CHECKED_ATTRIBUTES = frozenset(
    [
        "component",
        "component-import",
        "servlet",
        "servlet-filter",
        "web-item",
        "web-section",
        "web-panel",
        "web-resource",
        "rest",
        "module-type",
        "webhook",
        "general-page",
        "admin-page",
    ]
)
"""Types whose attributes are all known to be spelt with dashes."""

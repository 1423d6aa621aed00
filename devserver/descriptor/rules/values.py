"""X212, X213: labels and class names."""

import re
from collections.abc import Iterator

from devserver.descriptor.catalogue import xml_catalogue
from devserver.descriptor.document import Problem, Replacement, XmlDocument, opaque
from devserver.descriptor.rules import XML, rule
from devserver.model import Kind, Severity

CLASS = re.compile(r"(bean:\S+|(class:)?[\w$]+(\.[\w$]+)+)")
SIMPLE = re.compile(r"[\w$]+")


@rule("X212", Severity.WARNING, *XML)
def labels_without_resource(document: XmlDocument) -> Iterator[Problem]:
    if document.fragment:
        return
    if any(each.get("type") == "i18n" for each in document.every("resource")):
        return
    project = document.context.project
    own = tuple(project.labels) if project is not None and project.labels else ()
    used = []
    for each in document.elements:
        if each.tag in ("label", "description", "tooltip") and each.get("key"):
            used.append((each.value_at("key"), each.get("key")))
        elif each.get("i18n-name-key"):
            used.append((each.value_at("i18n-name-key"), each.get("i18n-name-key")))
    used = [each for each in used if not opaque(each[1]) and "." in each[1]]
    prefix = ".".join(document.root.key.split(".")[:3])
    mine = [
        each
        for each in used
        if own or (prefix and not opaque(prefix) and each[1].startswith(prefix))
    ]
    if mine:
        more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
        yield Problem(
            mine[0][0],
            f'"{mine[0][1]}"{more} is a key of an i18n file, but no i18n resource is declared: '
            "pages show the key",
            'add <resource type="i18n" name="i18n" location="…"/>',
        )


@rule("X213", Severity.WARNING, *XML)
def class_names(document: XmlDocument) -> Iterator[Problem]:
    modules = xml_catalogue().modules
    for each in document.elements:
        value = each.attributes.get("class", "")
        name = value.strip()
        if not name or opaque(name) or CLASS.fullmatch(name):
            continue
        if each.parent is None or not (
            each.tag in modules or each.tag in ("condition", "context-provider")
        ):
            continue  # <span class="…"> and the like inside another plugin's module
        at = each.value_at("class")
        if SIMPLE.fullmatch(name):
            yield Problem(
                at,
                f'"{name}" is a class in the default package: is its package missing?',
                "write the full name: com.acme." + name,
                Severity.INFO if document.kind is not Kind.P2 else None,
            )
            continue
        better = re.sub(r"\.(java|class)$", "", name).replace("/", ".")
        fits = bool(CLASS.fullmatch(better))
        yield Problem(
            at,
            f'"{name}" is no Java class name',
            f"write {better}" if fits else "write the full name: com.acme.Name",
            edit=Replacement(at, value, better) if fits and better != name else None,
        )

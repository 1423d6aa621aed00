"""P: the descriptor against the files beside it; silent where a folder is not there."""

import re
from collections.abc import Iterator

from devserver.descriptor.document import Problem, XmlDocument, opaque
from devserver.descriptor.nearest import nearest
from devserver.descriptor.rules import rule
from devserver.model import Kind, Severity


@rule("P801", Severity.WARNING, Kind.P2, Kind.REMOTE_XML)
def label_unknown(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if project is None or not project.labels:
        return
    declared = [
        each.get("location").removesuffix(".properties").replace("/", ".")
        for each in document.every("resource")
        if each.get("type") == "i18n"
    ]
    if not declared or any(opaque(each) or each not in project.labels for each in declared):
        return
    known = frozenset[str]().union(*(project.labels[each] for each in declared))
    prefixes = {each.partition(".")[0] for each in known} | {
        ".".join(each.split(".")[:2]) for each in known
    }
    for each in document.elements:
        name = "i18n-name-key" if "i18n-name-key" in each.attributes else "key"
        if name == "key" and each.tag not in ("label", "tooltip", "description"):
            continue
        key = each.get(name)
        if not key or opaque(key) or key in known or "." not in key:
            continue
        if ".".join(key.split(".")[:2]) not in prefixes:
            continue  # a host's own label
        near = nearest(key, sorted(known))
        yield Problem(
            each.value_at(name),
            f'no i18n file of this project has the key "{key}"',
            f'did you mean "{near}"?' if near else f"add {key} to {declared[0]}.properties",
        )


@rule("P802", Severity.WARNING, Kind.P2, Kind.REMOTE_XML)
def class_unknown(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if project is None or not project.classes:
        return
    simple: dict[str, str] = {}
    for name in project.classes:
        simple.setdefault(name.rpartition(".")[2], name)
    for each in document.elements:
        name = each.get("class").removeprefix("class:")
        if not name or opaque(name) or name.startswith("bean:") or name in project.classes:
            continue
        if not re.fullmatch(r"[\w$]+(\.[\w$]+)+", name):
            continue
        package, _, last = name.rpartition(".")
        outer = name.partition("$")[0]
        if package not in project.packages or outer in project.classes:
            continue  # a host's or a library's class
        near = simple.get(last) or nearest(name, sorted(project.classes))
        yield Problem(
            each.value_at("class"),
            f"this project has no class {name}, though it has its package",
            f"did you mean {near}?" if near else "correct its name",
        )


@rule("P803", Severity.WARNING, Kind.P2, Kind.REMOTE_XML)
def resource_unknown(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if project is None or not project.resources:
        return
    folders = {each.rpartition("/")[0] for each in project.resources}
    for each in document.every("resource"):
        location = each.get("location").lstrip("/")
        kind = each.get("type")
        if (
            not location
            or opaque(location)
            or ":" in location
            or kind not in ("download", "velocity")
        ):
            continue
        if location in project.resources or location.endswith("/"):
            continue
        folder = location.rpartition("/")[0]
        built = document.context.built
        if folder not in folders or (not built and re.search(r"[-.]min\.|\.css$", location)):
            continue  # another plugin's, or made by the build
        twin = re.sub(r"\.(js|css)$", r"-min.\1", location)
        near = nearest(location, sorted(project.resources))
        if twin in project.resources or (near is None and not built):
            continue
        yield Problem(
            each.value_at("location"),
            f"{'the JAR' if built else 'src/main/resources'} has no {location}",
            f"did you mean {near}?" if near else "add the file, or remove the resource",
        )


LICENSING = "com.atlassian.upm.api.license"


@rule("P804", Severity.WARNING, Kind.P2)
def licensing(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if project is None or project.imports is None:
        return
    param = document.params.get("atlassian-licensing-enabled")
    asked = param is not None and param.text.strip().lower() == "true"
    used = LICENSING in project.imports
    if param is not None and asked and not used:
        yield Problem(
            param.here,
            f"a licence is asked for, but nothing checks it: {LICENSING} is not imported",
            "check the licence in the code, or remove the param",
        )
    elif used and not asked and document.info is not None:
        yield Problem(
            param.text_at if param is not None else document.info.here,
            "the code checks a licence, but the descriptor does not ask for one: UPM shows none",
            'add <param name="atlassian-licensing-enabled">true</param>',
        )

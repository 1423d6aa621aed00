"""X317 to X324: data, workflows, macros, and what current products no longer have."""

from collections.abc import Iterator

from devserver.descriptor.catalogue import xml_catalogue
from devserver.descriptor.document import Element, Problem, Replacement, XmlDocument, opaque
from devserver.descriptor.rules import rule
from devserver.model import Kind, Severity

P2 = Kind.P2


@rule("X317", Severity.ERROR, P2)
def entities(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("ao"):
        seen: dict[str, Element] = {}
        for entity in each.all("entity"):
            name = entity.text.strip()
            first = seen.setdefault(name, entity)
            if first is not entity and name:
                yield Problem(
                    entity.text_at,
                    f"the entity {name} is listed twice",
                    "delete one",
                    also=(("the first is on", first.text_at),),
                )
        if not seen:
            yield Problem(
                each.here, "<ao> lists no entity: no table is made", "add <entity>…</entity>"
            )


@rule("X318", Severity.INFO, P2)
def namespace_of_tables(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("ao"):
        if not each.get("namespace"):
            yield Problem(
                each.here,
                "<ao> has no namespace: table names follow the plugin key, so the key is for ever",
                'add namespace="…" before the first release',
            )


WORKFLOW = {
    "workflow-function": "function-class",
    "workflow-condition": "condition-class",
    "workflow-validator": "validator-class",
}


@rule("X319", Severity.ERROR, P2)
def workflow_classes(document: XmlDocument) -> Iterator[Problem]:
    for tag, child in WORKFLOW.items():
        for each in document.module(tag):
            found = each.find(child)
            if found is None or not found.text.strip():
                yield Problem(
                    each.here if found is None else found.here,
                    f"<{tag}> has no <{child}>: the module cannot be used",
                    f"add <{child}>…</{child}>",
                )


@rule("X320", Severity.WARNING, P2)
def removed_types(document: XmlDocument) -> Iterator[Problem]:
    known = xml_catalogue().modules
    for each in document.modules:
        listed = known.get(each.tag, {})
        if "removed" not in listed:
            continue
        if listed.get("soft") and (document.context.platform or 0) < 10:
            continue
        yield Problem(
            each.here,
            f"<{each.tag}>: {listed['removed']}",
            f"use {listed['instead']}",
        )


ALLOWLIST_SINCE = {"confluence": 9, "jira": 10, "bamboo": 11}


@rule("X321", Severity.INFO, P2)
def platform_seven(document: XmlDocument) -> Iterator[Problem]:
    context = document.context
    since = ALLOWLIST_SINCE.get(context.product or "")
    if since is None or context.platform is None or context.platform < since:
        return
    velocity = [each for each in document.every("resource") if each.get("type") == "velocity"]
    if velocity and not any(True for _ in document.module("velocity-allowlist")):
        yield Problem(
            velocity[0].here,
            f"{context.product} {context.platform} blocks calls in Velocity that are not allowed",
            'add <velocity-allowlist key="…"><method>…</method></velocity-allowlist>',
        )
    rest = [*document.module("rest")]
    if rest and not any(True for _ in document.module("rest-migration")):
        yield Problem(
            rest[0].here,
            f"{context.product} {context.platform} has no REST version 1 packages",
            'add <rest-migration key="…"><rest-v2/></rest-migration>',
        )


@rule("X322", Severity.WARNING, P2)
def macro_parts(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("xhtml-macro"):
        lacking = [name for name in ("name", "class") if not each.get(name)]
        if lacking:
            yield Problem(
                each.here,
                f"the xhtml-macro has no {' and no '.join(lacking)}",
                " ".join(f'add {name}="…"' for name in lacking),
            )
        elif each.find("parameters") is None:
            yield Problem(
                each.here,
                "the xhtml-macro has no <parameters>: the macro browser leaves it out",
                "add <parameters/>",
            )


@rule("X323", Severity.WARNING, P2)
def template_context(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("template-context-item"):
        given = [name for name in ("class", "component-ref") if each.get(name)]
        if not each.get("context-key"):
            yield Problem(
                each.here, "the template-context-item has no context-key", 'add context-key="…"'
            )
        if len(given) != 1:
            yield Problem(
                each.at("component-ref") if given else each.here,
                "the template-context-item has "
                + ("both class and component-ref" if given else "neither class nor component-ref"),
                "give one of them",
            )


@rule("X324", Severity.INFO, P2, Kind.REMOTE_XML)
def plain_http_link(document: XmlDocument) -> Iterator[Problem]:
    for module in document.module("web-item"):
        for each in module.all("link"):
            text = each.text.strip()
            if text.startswith("http://") and not opaque(text):
                at = each.text_at
                yield Problem(
                    at,
                    "the link is plain http: browsers warn of it on an https host",
                    "use https://, or a path",
                    edit=Replacement(at, "http://", "https://"),
                )

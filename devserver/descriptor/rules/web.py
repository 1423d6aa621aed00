"""X301 to X316: what is seen in a browser: web fragments, servlets, REST, web resources."""

import re
from collections.abc import Iterator

from devserver.descriptor.document import Element, Problem, Replacement, XmlDocument, opaque
from devserver.descriptor.nearest import nearest
from devserver.descriptor.rules import rule
from devserver.model import Kind, Severity

P2 = Kind.P2


CREATE_DIALOG = "system.create."
"""Confluence's dialogs "create" and "create space": a blueprint's name and wizard are what shows
there, so its web-item has neither label nor link nor weight."""


@rule("X301", Severity.ERROR, P2, Kind.REMOTE_XML)
def web_item_parts(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("web-item"):
        if each.get("section").startswith(CREATE_DIALOG):
            continue
        own_class = bool(each.get("class"))
        if not each.get("section") and not each.get("location"):
            yield Problem(each.at("section"), "the web-item has no section", 'add section="…"')
        if each.find("label") is None and not own_class:
            yield Problem(each.here, "the web-item has no label", '<label key="…"/> names it')
        scripted = any(child.tag.startswith(("styleClass", "client-")) for child in each.children)
        if each.find("link") is None and not own_class and not scripted:
            yield Problem(
                each.here,
                "the web-item has no link: it shows and does nothing",
                "add <link>/…</link>, unless it is the head of a menu",
                Severity.WARNING,
            )


@rule("X302", Severity.WARNING, P2, Kind.REMOTE_XML)
def no_weight(document: XmlDocument) -> Iterator[Problem]:
    lacking = [
        each
        for each in document.module("web-item", "web-section")
        if "weight" not in each.attributes
        and each.find("weight") is None
        and not each.get("section").startswith(CREATE_DIALOG)
    ]
    if lacking:
        misspelt = (
            (each, near) for each in lacking if (near := nearest("weight", each.attributes))
        )
        first, near = next(misspelt, (lacking[0], None))
        more = f" (nor have {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        but = f', but "{near}"' if near else ""
        yield Problem(
            first.at(near) if near else first.here,
            f"the {first.tag} has no weight{but}{more}: its order is undefined",
            f"write weight for {near}" if near else 'add weight="10"',
        )


@rule("X303", Severity.ERROR, P2, Kind.REMOTE_XML)
def section_or_location(document: XmlDocument) -> Iterator[Problem]:
    for tag, right, wrong in (
        ("web-section", "location", "section"),
        ("web-item", "section", "location"),
    ):
        for each in document.module(tag):
            if each.get(right):
                continue
            if each.get(wrong):
                at = each.at(wrong)
                yield Problem(
                    at,
                    f"a {tag} has no {wrong}, but a {right}: it is never shown",
                    f"rename {wrong} to {right}",
                    edit=Replacement(at, wrong, right),
                )
            elif tag == "web-section":
                yield Problem(each.at(right), "the web-section has no location", 'add location="…"')


VIEW_TYPES = ("static", "velocity", "soy")


@rule("X304", Severity.ERROR, P2, Kind.REMOTE_XML)
def web_panel_parts(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("web-panel"):
        if not each.get("location"):
            yield Problem(each.at("location"), "the web-panel has no location", 'add location="…"')
        views = [resource for resource in each.all("resource") if resource.get("name") == "view"]
        if not views and not each.get("class"):
            yield Problem(
                each.here,
                "the web-panel has nothing to show: no class, and no resource named view",
                'add <resource name="view" type="velocity" location="…"/>',
            )


@rule("X305", Severity.ERROR, P2, Kind.REMOTE_XML)
def servlet_parts(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("servlet", "servlet-filter"):
        if not each.get("class"):
            yield Problem(each.at("class"), f"the {each.tag} has no class", 'add class="…"')
        patterns = each.all("url-pattern")
        if not any(pattern.text.strip() for pattern in patterns):
            yield Problem(
                patterns[0].here if patterns else each.here,
                f"the {each.tag} has no url-pattern: nothing leads to it",
                "add <url-pattern>/…</url-pattern>",
            )


@rule("X306", Severity.ERROR, P2, Kind.REMOTE_XML)
def init_params(document: XmlDocument) -> Iterator[Problem]:
    for each in (*document.every("init-param"), *document.module("servlet-context-param")):
        for name in ("param-name", "param-value"):
            child = each.find(name)
            if child is None or (name == "param-name" and not child.text.strip()):
                yield Problem(
                    each.here if child is None else child.here,
                    f"<{each.tag}> has no <{name}>",
                    "write <param-name>…</param-name><param-value>…</param-value>",
                )


FILTER_LOCATIONS = ("after-encoding", "before-login", "before-decoration", "before-dispatch")


@rule("X307", Severity.ERROR, P2, Kind.REMOTE_XML)
def filter_location(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("servlet-filter"):
        value = each.get("location")
        if not value or opaque(value):
            continue
        if value.lower().replace("_", "-") not in FILTER_LOCATIONS:
            yield Problem(
                each.value_at("location"),
                f'location="{value}" is no place for a servlet-filter: the plugin is disabled',
                f"one of {', '.join(FILTER_LOCATIONS)}",
            )


DISPATCHERS = ("REQUEST", "INCLUDE", "FORWARD", "ERROR")


@rule("X308", Severity.ERROR, P2, Kind.REMOTE_XML)
def dispatcher(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("dispatcher"):
        value = each.text.strip()
        if each.parent is None or each.parent.tag not in ("servlet-filter", "rest"):
            continue
        if value in DISPATCHERS or opaque(value):
            continue
        upper = value.upper()
        yield Problem(
            each.text_at if value else each.here,
            f'the dispatcher "{value}" is none of {", ".join(DISPATCHERS)}',
            f"write {upper}" if upper in DISPATCHERS else "use REQUEST",
            Severity.WARNING if value == "ASYNC" else None,
            edit=Replacement(each.text_at, value, upper) if upper in DISPATCHERS else None,
        )


@rule("X309", Severity.WARNING, P2, Kind.REMOTE_XML)
def url_pattern(document: XmlDocument) -> Iterator[Problem]:
    for module in document.module("servlet", "servlet-filter"):
        for each in module.all("url-pattern"):
            text = each.text.strip()
            if not text or opaque(text):
                continue
            if not text.startswith(("/", "*")):
                yield Problem(
                    each.text_at,
                    f'the url-pattern "{text}" does not start with /: it matches nothing',
                    f"write /{text}",
                    edit=Replacement(each.text_at, text, "/" + text),
                )
            elif module.tag == "servlet" and text.startswith("/plugins/servlet/"):
                rest = text.removeprefix("/plugins/servlet")
                yield Problem(
                    each.text_at,
                    "the url-pattern repeats /plugins/servlet, which hosts put before it",
                    f"write {rest}",
                    edit=Replacement(each.text_at, text, rest),
                )


@rule("X310", Severity.WARNING, P2, Kind.REMOTE_XML)
def catch_all(document: XmlDocument) -> Iterator[Problem]:
    for module in document.module("servlet-filter"):
        for each in module.all("url-pattern"):
            if each.text.strip() in ("/*", "*"):
                yield Problem(
                    each.text_at,
                    "this filter runs for every request of the product",
                    "narrow the url-pattern where that is possible",
                )


VERSION = re.compile(r"none|\d+(\.\d+)*([.-]\w+)?", re.IGNORECASE)


@rule("X311", Severity.ERROR, P2, Kind.REMOTE_XML)
def rest_parts(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("rest"):
        path, version = each.get("path"), each.get("version")
        if not path:
            yield Problem(each.at("path"), "the rest module has no path", 'add path="/…"')
        elif not path.startswith("/") and not opaque(path):
            at = each.value_at("path")
            yield Problem(
                at,
                f'path="{path}" does not start with /',
                f'write path="/{path}"',
                edit=Replacement(at, each.attributes["path"], "/" + path),
            )
        if not version:
            yield Problem(each.at("version"), "the rest module has no version", 'add version="1.0"')
        elif not VERSION.fullmatch(version) and not opaque(version):
            yield Problem(
                each.value_at("version"),
                f'version="{version}" is no version',
                'write version="1.0"',
            )


COMPONENT_INTERFACES = "add <interface>com.acme.Service</interface>"


@rule("X312", Severity.ERROR, P2, Kind.REMOTE_XML)
def component_parts(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("component", "component-import"):
        interface = bool(each.get("interface")) or each.find("interface") is not None
        if each.tag == "component":
            if not each.get("class"):
                yield Problem(each.at("class"), "the component has no class", 'add class="…"')
            if "public" in each.attributes and not interface:
                off = each.get("public").lower() == "false"
                yield Problem(
                    each.at("public"),
                    "a component with public needs an interface"
                    + (", even with false: its presence counts" if off else ""),
                    "remove public" if off else COMPONENT_INTERFACES,
                )
        elif not interface:
            yield Problem(each.here, "the component-import has no interface", COMPONENT_INTERFACES)


@rule("X313", Severity.WARNING, P2, Kind.REMOTE_XML)
def bean_clash(document: XmlDocument) -> Iterator[Problem]:
    """Keys of two modules are X202's; this is about aliases, which become beans as well."""
    taken: dict[str, Element] = {}
    beans = [*document.module("component", "component-import", "module-type")]
    for each in beans:
        if each.key and not opaque(each.key):
            taken.setdefault(each.key, each)
    for each in document.module("component"):
        alias = each.get("alias")
        other = taken.get(alias)
        if alias and other is not None and other is not each:
            yield Problem(
                each.value_at("alias"),
                f'the alias "{alias}" is the bean name of another module',
                "rename the alias",
                also=((f"<{other.tag}> has it on", other.value_at("key")),),
            )
        elif alias:
            taken.setdefault(alias, each)


def own_web_resources(document: XmlDocument) -> frozenset[str]:
    """Keys of everything that a dependency may name."""
    return frozenset(each.key for each in document.modules)


def dependencies(document: XmlDocument) -> Iterator[tuple[Element, str]]:
    for module in document.module("web-resource", "client-resource", "stash-resource"):
        for each in module.all("dependency"):
            yield each, each.text.strip()


@rule("X314", Severity.WARNING, P2, Kind.REMOTE_XML)
def dependency_unknown(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    generated = (project is not None and project.scanned) or document.fragment
    own = own_web_resources(document)
    names = {
        document.root.key,
        "${atlassian.plugin.key}",
        "${project.groupId}.${project.artifactId}",
    }
    for each, text in dependencies(document):
        plugin, colon, module = text.rpartition(":")
        if not colon:
            if not opaque(text):
                near = (
                    f"{document.root.key}:{text}" if text in own else "com.atlassian.auiplugin:ajs"
                )
                yield Problem(
                    each.text_at,
                    f'"{text}" is no complete key: the page loses the resource',
                    f"write plugin key:module key, like {near}",
                )
        elif plugin in names and module not in own and not opaque(module):
            if any(opaque(key) for key in own):
                continue
            yield Problem(
                each.text_at,
                f'this plugin has no module "{module}"',
                "correct the key" + (", or is it generated?" if generated else ""),
                Severity.INFO if generated else None,
            )


@rule("X315", Severity.WARNING, P2, Kind.REMOTE_XML)
def dependency_on_old_key(document: XmlDocument) -> Iterator[Problem]:
    key = document.root.key
    if not key or opaque(key):
        return
    own = {each.key for each in document.module("web-resource", "client-resource")}
    for each, text in dependencies(document):
        plugin, _, module = text.rpartition(":")
        if not plugin or opaque(plugin) or plugin == key or module not in own:
            continue
        if plugin.startswith(("com.atlassian.", "confluence.", "jira.")):
            continue  # a host's module that happens to have the same name
        yield Problem(
            each.text_at,
            f'"{module}" is a module of this plugin, whose key is not {plugin}',
            f"write {key}:{module}, or ${{atlassian.plugin.key}}:{module}",
            edit=Replacement(each.text_at, text, f"{key}:{module}"),
        )


@rule("X316", Severity.WARNING, P2, Kind.REMOTE_XML)
def empty_web_resource(document: XmlDocument) -> Iterator[Problem]:
    for each in document.module("web-resource"):
        if not any(
            child.tag not in ("description", "context", "condition", "conditions", "param")
            for child in each.children
        ):
            yield Problem(
                each.here,
                "the web-resource has no resource, no dependency and no data",
                "add what it brings, or delete it",
            )

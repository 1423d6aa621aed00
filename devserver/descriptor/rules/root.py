"""X101 to X109: the root element."""

import re
from collections.abc import Iterator

from devserver.descriptor.document import Problem, Replacement, XmlDocument, opaque
from devserver.descriptor.rules import XML, rule
from devserver.model import Kind, Severity

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
KEY_LIMIT = 50
"""Of the Connect XML schema's KeyType."""


@rule("X101", Severity.ERROR, *XML)
def key_missing(document: XmlDocument) -> Iterator[Problem]:
    root = document.root
    if not document.fragment and not root.key:
        what = "an empty key" if "key" in root.attributes else "no key"
        yield Problem(
            root.at("key"), f"<{root.tag}> has {what}", 'add one that is yours: key="com.acme.app"'
        )


@rule("X102", Severity.ERROR, *XML)
def key_with_colon(document: XmlDocument) -> Iterator[Problem]:
    key = document.root.key
    if ":" in key and not opaque(key):
        yield Problem(
            document.root.value_at("key"),
            f'the plugin key "{key}" holds a colon: hosts use it to join plugin and module keys',
            f'use dots or dashes: key="{key.replace(":", ".")}"',
        )


@rule("X103", Severity.WARNING, *XML)
def key_shape(document: XmlDocument) -> Iterator[Problem]:
    root, key = document.root, document.root.key
    if not key or opaque(key) or ":" in key:
        return
    if not KEY.fullmatch(key):
        yield Problem(
            root.value_at("key"),
            f'the plugin key "{key}" has characters other than letters, digits, dot, dash and _',
            "choose another before the first release: a key can never change later",
        )
    elif document.kind is not Kind.P2 and len(key) > KEY_LIMIT:
        yield Problem(
            root.value_at("key"),
            f"the plugin key has {len(key)} characters; remote apps may have {KEY_LIMIT}",
            "shorten it before the first release",
        )


@rule("X104", Severity.ERROR, *XML)
def framework_version_missing(document: XmlDocument) -> Iterator[Problem]:
    root = document.root
    if root.tag != "atlassian-plugin" or document.fragment:
        return
    if not {"plugins-version", "pluginsVersion"} & root.attributes.keys():
        remote = document.kind is not Kind.P2
        yield Problem(
            root.here,
            "plugins-version is missing: "
            + ("the host refuses the app" if remote else "hosts take this for a version 1 plugin"),
            'add plugins-version="2"',
            Severity.ERROR if remote else Severity.WARNING,
        )


@rule("X105", Severity.WARNING, Kind.P2)
def framework_version_spelling(document: XmlDocument) -> Iterator[Problem]:
    root = document.root
    if "pluginsVersion" not in root.attributes:
        return
    at = root.at("pluginsVersion")
    edit = None
    if "plugins-version" not in root.attributes:
        edit = Replacement(at, "pluginsVersion", "plugins-version")
    yield Problem(
        at,
        "pluginsVersion is the old spelling of plugins-version (deprecated since framework 2.1)",
        "rename it to plugins-version",
        edit=edit,
    )


@rule("X106", Severity.ERROR, *XML)
def framework_version_number(document: XmlDocument) -> Iterator[Problem]:
    root = document.root
    for name in ("plugins-version", "pluginsVersion"):
        value = root.get(name)
        if name not in root.attributes or opaque(value):
            continue
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            at = root.value_at(name)
            edit = Replacement(at, value, "2") if re.fullmatch(r"2(\.0)+", value) else None
            yield Problem(at, f'{name}="{value}" is no whole number', f'use {name}="2"', edit=edit)
        elif value not in ("1", "2", "3"):
            yield Problem(
                root.value_at(name),
                f'{name}="{value}" is none of the known framework versions',
                f'use {name}="2"',
                Severity.INFO,
            )


@rule("X107", Severity.WARNING, *XML)
def display_name(document: XmlDocument) -> Iterator[Problem]:
    root, name = document.root, document.root.get("name")
    if document.fragment:
        return
    if not name:
        if not root.get("i18n-name-key"):
            yield Problem(
                root.here, "the app has no name: hosts show its key", 'add name="…" to the root'
            )
    elif not opaque(name) and (found := re.search(r"\b(plug-?in|add-?on)\b", name, re.IGNORECASE)):
        yield Problem(
            root.value_at("name"),
            f'the name says "{found[0]}": lists of apps repeat the word on every line',
            "use the app's name alone",
        )


@rule("X108", Severity.INFO, Kind.P2)
def system_flag(document: XmlDocument) -> Iterator[Problem]:
    root = document.root
    version = root.get("plugins-version") or root.get("pluginsVersion")
    if version in ("", "1"):
        return
    flagged = [each for each in (root, *document.modules) if each.get("system").lower() == "true"]
    if flagged:
        more = f" (and on {len(flagged) - 1} more)" if len(flagged) > 1 else ""
        yield Problem(
            flagged[0].at("system"),
            f"system has no effect in an OSGi plugin{more}",
            "remove the attribute",
        )


@rule("X109", Severity.WARNING, *XML)
def state(document: XmlDocument) -> Iterator[Problem]:
    for each in (document.root, *document.modules):
        value = each.get("state")
        if value and not opaque(value) and value.lower() not in ("enabled", "disabled"):
            off = value.lower() in ("off", "false", "no", "disable", "inactive")
            yield Problem(
                each.value_at("state"),
                f'state="{value}" means enabled: hosts know enabled and disabled alone',
                'write state="disabled"' if off else "remove it, or write disabled",
                edit=Replacement(each.value_at("state"), value, "disabled") if off else None,
            )

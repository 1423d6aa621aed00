"""J601 to J610 and J617: the modules of a Connect descriptor."""

import re
from collections.abc import Iterator, Mapping
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
from devserver.descriptor.nearest import distance, nearest
from devserver.descriptor.rules import rule
from devserver.descriptor.rules.connect_kinds import JSON, bitbucket
from devserver.model import Severity

KEY = re.compile(r"[a-zA-Z0-9-]+")
KEY_LIMIT, KEY_LIMIT_BITBUCKET = 100, 128
KEYLESS = frozenset({"webhooks", "oauthConsumer"})


def declared(document: JsonDocument) -> Mapping[str, Any]:
    modules = document.root.get("modules")
    return modules if isinstance(modules, dict) else {}


def _listed(kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = connect_catalogue().modules.get(kind, {})
    return found


@rule("J601", Severity.ERROR, JSON)
def lists(document: JsonDocument) -> Iterator[Problem]:
    modules = document.root.get("modules")
    if modules is not None and not isinstance(modules, dict):
        if not (isinstance(modules, str) and opaque(modules)):
            yield Problem(In(("modules",)), "modules is no object", 'write "modules": {}')
        return
    for kind, value in declared(document).items():
        at = In(("modules", kind))
        if _listed(kind).get("single") or not _listed(kind):
            continue
        if isinstance(value, dict):
            yield Problem(at, f"{kind} is a list of modules", "wrap it in [ ]")
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if not isinstance(each, dict) and not (isinstance(each, str) and opaque(each)):
                    yield Problem(
                        In((*at.path, index)), f"a module of {kind} is an object", "write { … }"
                    )
        elif not (isinstance(value, str) and opaque(value)):
            yield Problem(at, f"{kind} is a list of modules", "write [{ … }]")


@rule("J602", Severity.ERROR, JSON)
def singles(document: JsonDocument) -> Iterator[Problem]:
    for kind, value in declared(document).items():
        if _listed(kind).get("single") and isinstance(value, list):
            yield Problem(
                In(("modules", kind)), f"there is one {kind} only: an object, no list", "unwrap it"
            )


SLIP = 2
"""Letters that a slip of the pen gets wrong; what is further off may be a type of a newer host."""


@rule("J603", Severity.ERROR, JSON)
def unknown_type(document: JsonDocument) -> Iterator[Problem]:
    known = connect_catalogue().modules
    product = document.context.product
    for kind in declared(document):
        at = In(("modules", kind), key=True)
        listed = known.get(kind)
        if listed is not None:
            if product in ("jira", "confluence", "bitbucket") and product not in listed["products"]:
                yield Problem(
                    at,
                    f"{kind} is a module of {' and '.join(listed['products'])}, not of {product}",
                    "remove it, or serve another descriptor there",
                    Severity.WARNING,
                )
            continue
        if kind.startswith(("_", "//")) or opaque(kind):
            continue
        near = nearest(kind, known)
        meant = near is not None and distance(kind.lower(), near.lower()) <= SLIP
        there = near in declared(document)
        yield Problem(
            at,
            f"{kind} is no module type that we know"
            + (": the host refuses the descriptor" if meant else ""),
            f'did you mean "{near}"?' if near else "hosts refuse types that they do not know",
            None if meant else Severity.WARNING,
            edit=Replacement(at, f'"{kind}"', f'"{near}"') if meant and not there else None,
        )


@rule("J604", Severity.ERROR, JSON)
def key_shape(document: JsonDocument) -> Iterator[Problem]:
    theirs = bitbucket(document)
    limit = KEY_LIMIT_BITBUCKET if theirs else KEY_LIMIT
    for each in document.modules:
        if each.type in KEYLESS or each.type.startswith(("_", "//")):
            continue
        key = each.value.get("key")
        at = each.at("key")
        if key is None or key == "":
            yield Problem(
                at,
                f"the module of {each.type} has {'an empty' if 'key' in each.value else 'no'} key",
                'add "key": "…" that no other module has',
            )
        elif not isinstance(key, str):
            yield Problem(at, f"the key is {type(key).__name__}, not a string", "quote it")
        elif opaque(key):
            continue
        elif not KEY.fullmatch(key):
            better = re.sub(r"[^a-zA-Z0-9-]+", "-", key).strip("-")
            fits = theirs and re.fullmatch(r"[\w.-]+", key)
            if not fits:
                yield Problem(
                    at,
                    f'the module key "{key}" has characters other than letters, digits and dash',
                    f'use "{better}"' if better else "use letters, digits and dashes",
                )
        elif len(key) > limit:
            yield Problem(
                at, f"the module key has {len(key)} characters: {limit} are allowed", "shorten it"
            )


@rule("J605", Severity.ERROR, JSON)
def key_twice(document: JsonDocument) -> Iterator[Problem]:
    seen: dict[str, JsonModule] = {}
    for each in document.modules:
        key = each.value.get("key")
        if each.type in KEYLESS or not isinstance(key, str) or not key or opaque(key):
            continue
        first = seen.setdefault(key, each)
        if first is not each:
            yield Problem(
                each.at("key"),
                f'the module key "{key}" is used twice: one of the two is lost',
                "rename one",
                also=((f"{first.type} has it on", first.at("key")),),
            )


TRANSLATED = ("name", "tooltip", "header")
TRANSLATED_DESCRIPTIONS = frozenset(
    [
        "jiraDashboardItems",
        "jiraReports",
        "jiraIssueFields",
        "jiraGlobalPermissions",
        "jiraProjectPermissions",
        "jiraSearchRequestViews",
        "jiraWorkflowConditions",
        "jiraWorkflowPostFunctions",
        "jiraWorkflowValidators",
        "dynamicContentMacros",
        "staticContentMacros",
    ]
)


@rule("J606", Severity.ERROR, JSON)
def translated(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        names = ["name", "tooltip"]
        if each.type in TRANSLATED_DESCRIPTIONS:
            names.append("description")
        for name in names:
            value = each.value.get(name)
            at = each.at(name)
            if isinstance(value, str) and not (opaque(value) and not value.strip("{} ")):
                quoted = _quoted(value)
                yield Problem(
                    at,
                    f"{name} of {each.type} is an object with a value, not a string",
                    f'write {{"value": "{value[:40]}"}}',
                    edit=Replacement(at, quoted, f'{{"value": {quoted}}}') if quoted else None,
                )
            elif isinstance(value, dict) and "value" not in value:
                yield Problem(at, f"{name} of {each.type} has no value", 'add "value": "…"')


def _quoted(value: str) -> str:
    """How a plain string stands in the source; empty where there is more than one way."""
    return f'"{value}"' if re.fullmatch(r"[^\"\\\x00-\x1f]*", value) else ""


@rule("J607", Severity.ERROR, JSON)
def required(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        listed = _listed(each.type)
        known = listed.get("properties", ())
        for name in listed.get("required", ()):
            if name == "key" or each.value.get(name) not in (None, ""):
                continue
            spelt = nearest(name, [given for given in each.value if given not in known])
            yield Problem(
                In((*each.path, spelt), key=True) if spelt else each.at(name),
                f"the module of {each.type} has no {name}",
                f'rename "{spelt}" to "{name}"' if spelt else f'add "{name}"',
                Severity.WARNING if name in ("description", "tooltip", "thumbnailUrl") else None,
                edit=Replacement(In((*each.path, spelt), key=True), f'"{spelt}"', f'"{name}"')
                if spelt
                else None,
            )


@rule("J608", Severity.ERROR, JSON)
def weight(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        value = each.value.get("weight")
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            continue
        if isinstance(value, str) and opaque(value):
            continue
        whole = re.fullmatch(r"-?\d+", value) if isinstance(value, str) else None
        at = each.at("weight")
        yield Problem(
            at,
            f"weight is {value!r}, not a whole number",
            f"write {value}, without quotes" if whole else "write 100",
            edit=Replacement(at, f'"{value}"', value) if whole and isinstance(value, str) else None,
        )


URLS = ("url", "iconUrl", "thumbnailUrl", "homeUrl", "logoUrl", "documentationUrl")


def _urls(document: JsonDocument) -> Iterator[tuple[JsonModule, tuple[str, ...], str]]:
    for each in document.modules:
        for name in URLS:
            if isinstance(value := each.value.get(name), str):
                yield each, (name,), value
        for holder in ("view", "edit", "create", "triggered", "icon"):
            inner = each.value.get(holder)
            if isinstance(inner, dict) and isinstance(inner.get("url"), str):
                yield each, (holder, "url"), inner["url"]


@rule("J609", Severity.ERROR, JSON)
def relative_url(document: JsonDocument) -> Iterator[Problem]:
    for each in document.modules:
        if each.value.get("url") is not None and not isinstance(each.value["url"], str):
            yield Problem(each.at("url"), "the url is no string", 'write "/…"')
    for each, names, url in _urls(document):
        at = each.at(*names)
        if not url:
            continue
        if re.search(r"\s", _without_tokens(url)):
            yield Problem(at, f'the url "{url}" holds white space', "remove it, or write %20")
        elif names != ("url",) or each.type == "webItems":
            continue
        elif not url.startswith(("/", "http://", "https://", "{", "${", "<%")):
            quoted = f'"{url}"'
            yield Problem(
                at,
                f'the url "{url}" does not start with /: hosts put it right behind baseUrl',
                f'write "/{url}"',
                Severity.WARNING if opaque(url) else None,
                edit=Replacement(at, quoted, f'"/{url}"') if "\\" not in url else None,
            )


def _without_tokens(url: str) -> str:
    return re.sub(r"\$?\{[^}]*\}+|<%.*?%>", "", url)


@rule("J610", Severity.ERROR, JSON)
def plain_http(document: JsonDocument) -> Iterator[Problem]:
    for each, names, url in _urls(document):
        if url.lower().startswith("http://") and not re.match(r"http://(localhost|127\.)", url):
            at = each.at(*names)
            frame = names == ("url",) and each.type != "webItems"
            yield Problem(
                at,
                "a plain http address inside an https page: browsers block it",
                "use https",
                None if frame else Severity.WARNING,
                edit=Replacement(at, f'"{url}"', f'"https{url[4:]}"') if "\\" not in url else None,
            )


@rule("J617", Severity.WARNING, JSON)
def removed_types(document: JsonDocument) -> Iterator[Problem]:
    for kind in declared(document):
        listed = _listed(kind)
        if "removed" in listed:
            yield Problem(
                In(("modules", kind), key=True),
                f"{kind}: {listed['removed']}",
                f"use {listed['instead']}",
            )

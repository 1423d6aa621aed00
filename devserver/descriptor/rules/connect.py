"""J501 to J506, J513 to J521: what a Connect descriptor says of the app itself."""

import re
from collections.abc import Iterator
from typing import Any

from devserver.descriptor.catalogue import connect_catalogue
from devserver.descriptor.document import In, JsonDocument, Problem, Replacement, opaque
from devserver.descriptor.nearest import distance, nearest
from devserver.descriptor.rules import rule
from devserver.descriptor.rules.connect_kinds import JSON, bitbucket, draft, text, written_base_url
from devserver.descriptor.rules.file import HIPCHAT
from devserver.model import Severity

KEY = re.compile(r"[a-zA-Z0-9._-]+")
KEY_LIMIT = 64
LEGAL_ONCE = 80
TUNNELS = re.compile(
    r"ngrok|trycloudflare\.com|loca\.lt|localtunnel|localhost|//127\.|//0\.0\.0\.0|//\[::1\]"
)
LEFT_OVER = re.compile(
    r"my-(?:app|addon|add-on|plugin|test-app-key|connect-app)|hello-world|com\.example\..+"
    r"|atlassian-connect-spring-boot-sample-.+|my-test-app-key",
)


@rule("J501", Severity.ERROR, JSON)
def required(document: JsonDocument) -> Iterator[Problem]:
    root = document.root
    if draft(document):
        return
    for name in ("key", "baseUrl", "authentication"):
        if name in root and root[name] not in ("", None):
            continue
        if name == "authentication" and bitbucket(document):
            continue
        spelt = nearest(name, [each for each in root if each not in KNOWN])
        yield Problem(
            In((spelt,), key=True) if spelt else In((name,) if name in root else ()),
            f'"{name}" is {"empty" if name in root else "missing"}: hosts refuse the descriptor',
            f'rename "{spelt}"' if spelt else f'add "{name}": {EXAMPLES[name]}',
        )


KNOWN = frozenset(
    ["key", "baseUrl", "authentication", "name", "modules", "vendor", "scopes", "lifecycle"]
)
EXAMPLES = {
    "key": '"com.acme.app"',
    "baseUrl": '"https://app.example.com"',
    "authentication": '{"type": "jwt"}',
}


@rule("J502", Severity.ERROR, JSON)
def key_shape(document: JsonDocument) -> Iterator[Problem]:
    key = document.root.get("key")
    if key is None or key == "" or (isinstance(key, str) and opaque(key)):
        return
    if not isinstance(key, str) or not KEY.fullmatch(key):
        yield Problem(
            In(("key",)),
            f"the app key {key!r} has characters other than letters, digits, dot, dash and _",
            "choose another before the first installation: a key can never change later",
        )
    elif len(key) > KEY_LIMIT:
        legal = "; up to 80 was legal until 2019" if len(key) <= LEGAL_ONCE else ""
        yield Problem(
            In(("key",)),
            f"the app key has {len(key)} characters: 64 are allowed{legal}",
            "shorten it",
        )


@rule("J503", Severity.WARNING, JSON)
def key_left_over(document: JsonDocument) -> Iterator[Problem]:
    key = text(document.root.get("key"))
    if LEFT_OVER.fullmatch(key):
        yield Problem(
            In(("key",)),
            f'the app key "{key}" comes from a template: it collides with other developers\' apps',
            "choose one of your own",
            Severity.INFO if document.context.development else None,
        )


@rule("J504", Severity.ERROR, JSON)
def base_url(document: JsonDocument) -> Iterator[Problem]:
    url = document.root.get("baseUrl")
    if url is None or url == "" or (isinstance(url, str) and opaque(url)):
        return
    at = In(("baseUrl",))
    if not isinstance(url, str):
        yield Problem(at, f"baseUrl is {type(url).__name__}, not a string", "quote it")
    elif not re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        yield Problem(at, f'baseUrl "{url}" has no scheme', f'write "https://{url}"')
    elif url.lower().startswith("http:") and not TUNNELS.search(url):
        cloud = document.context.profile == "cloud"
        yield Problem(
            at,
            "baseUrl is plain http: hosts on https refuse it",
            "use https",
            None if cloud else Severity.WARNING,
        )


@rule("J505", Severity.WARNING, JSON)
def base_url_slash(document: JsonDocument) -> Iterator[Problem]:
    url = text(document.root.get("baseUrl"))
    if len(url) > 1 and url.endswith("/"):
        at = In(("baseUrl",))
        yield Problem(
            at,
            "baseUrl ends in /: with the modules' urls that makes //, and signatures fail",
            "remove the last /",
            edit=Replacement(at, f'"{url}"', f'"{url.rstrip("/")}"'),
        )


@rule("J506", Severity.WARNING, JSON)
def base_url_local(document: JsonDocument) -> Iterator[Problem]:
    url = written_base_url(document)
    if document.context.development or not (found := TUNNELS.search(url)):
        return
    yield Problem(
        In(("baseUrl",)),
        f"baseUrl points to {found[0].strip('/')}: no host of others reaches that",
        'write "{{localBaseUrl}}"',
    )


@rule("J513", Severity.ERROR, JSON)
def api_version(document: JsonDocument) -> Iterator[Problem]:
    value = document.root.get("apiVersion", 1)
    if isinstance(value, str) and opaque(value):
        return
    if not isinstance(value, int) or isinstance(value, bool):
        whole = value if isinstance(value, str) and value.isdecimal() else ""
        at = In(("apiVersion",))
        yield Problem(
            at,
            f"apiVersion is {value!r}, not a whole number",
            f"write {value}, without quotes" if whole else "write 1",
            edit=Replacement(at, f'"{whole}"', whole) if whole else None,
        )


@rule("J514", Severity.INFO, JSON)
def version_ignored(document: JsonDocument) -> Iterator[Problem]:
    if "version" in document.root and not draft(document):
        yield Problem(
            In(("version",), key=True),
            "version is ignored: the Marketplace numbers apps",
            "remove it",
        )


@rule("J516", Severity.WARNING, JSON)
def unknown_property(document: JsonDocument) -> Iterator[Problem]:
    if draft(document):
        return
    catalogue = connect_catalogue()
    for name in document.root:
        if name in catalogue.properties or name.startswith(("_", "//", "$", "#")) or opaque(name):
            continue
        near = nearest(name, catalogue.properties)
        yield _misspelt(In((name,), key=True), name, near, near in document.root)
    for module in document.modules:
        known = catalogue.modules.get(module.type, {}).get("properties", ())
        for name in module.value:
            near = None if name in known else nearest(name, known)
            if near is not None and near not in module.value and distance(name, near) <= 2:
                required = near in catalogue.modules[module.type].get("required", ())
                if not required:  # J607 says so
                    yield _misspelt(In((*module.path, name), key=True), name, near, False)


def _misspelt(at: In, name: str, near: str | None, there: bool) -> Problem:
    return Problem(
        at,
        f'nothing reads "{name}"',
        f'did you mean "{near}"?' if near else "remove it",
        None if near else Severity.INFO,
        edit=Replacement(at, f'"{name}"', f'"{near}"') if near and not there else None,
    )


LIMITS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("name",), 80),
    (("description",), 1400),
    (("vendor", "name"), 100),
    (("vendor", "url"), 200),
    (("baseUrl",), 200),
)


@rule("J519", Severity.WARNING, JSON)
def lengths(document: JsonDocument) -> Iterator[Problem]:
    for path, limit in LIMITS:
        value: Any = document.root
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and len(value) > limit:
            yield Problem(
                In(path),
                f"{'.'.join(path)} has {len(value)} characters: {limit} are allowed",
                "shorten it",
            )


@rule("J520", Severity.WARNING, JSON)
def hipchat(document: JsonDocument) -> Iterator[Problem]:
    capabilities = document.root.get("capabilities")
    if isinstance(capabilities, dict) and "baseUrl" not in document.root:
        named = sorted(HIPCHAT & capabilities.keys())
        yield Problem(
            In(("capabilities",), key=True),
            "this is a HipChat or Stride descriptor"
            + (f" ({', '.join(named[:3])})" if named else "")
            + ": both services ended in 2019",
            "",
        )


@rule("J521", Severity.ERROR, JSON)
def draft_of_2013(document: JsonDocument) -> Iterator[Problem]:
    if "capabilities" in document.root and "baseUrl" in document.root:
        at = In(("capabilities",), key=True)
        rename = "modules" not in document.root
        yield Problem(
            at,
            "modules stand under capabilities: no released host reads this draft of 2013",
            'rename it to "modules", and give every module a key',
            edit=Replacement(at, '"capabilities"', '"modules"') if rename else None,
        )

"""J501 to J521: the root of a Connect descriptor."""

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
SECRET_NAMES = frozenset(
    ["sharedsecret", "clientsecret", "privatekey", "password", "secret", "apisecret"]
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


@rule("J507", Severity.ERROR, JSON)
def jwt_needs_installed(document: JsonDocument) -> Iterator[Problem]:
    root = document.root
    authentication = root.get("authentication")
    if draft(document) or not isinstance(authentication, dict):
        return
    if text(authentication.get("type", "jwt")).lower() != "jwt":
        return
    lifecycle = root.get("lifecycle")
    if not isinstance(lifecycle, dict) or not lifecycle.get("installed"):
        yield Problem(
            In(("lifecycle",)) if "lifecycle" in root else In(("authentication",)),
            "jwt needs the lifecycle callback installed: without it no secret can be handed over",
            'add "lifecycle": {"installed": "/installed"}',
        )


@rule("J508", Severity.ERROR, JSON)
def authentication_type(document: JsonDocument) -> Iterator[Problem]:
    authentication = document.root.get("authentication")
    if authentication is None:
        return
    if not isinstance(authentication, dict):
        yield Problem(
            In(("authentication",)), "authentication is no object", 'write {"type": "jwt"}'
        )
        return
    kind = authentication.get("type", "jwt")
    if isinstance(kind, str) and (opaque(kind) or kind in ("jwt", "JWT", "none", "NONE")):
        return
    was = " (legal until August 2015)" if kind == "oauth" else ""
    yield Problem(
        In(("authentication", "type")),
        f"authentication.type is {kind!r}: hosts know jwt and none{was}",
        'write "jwt"',
    )


@rule("J509", Severity.ERROR, JSON)
def scope_names(document: JsonDocument) -> Iterator[Problem]:
    scopes = document.root.get("scopes")
    if scopes is None:
        return
    if not isinstance(scopes, list):
        yield Problem(In(("scopes",)), "scopes is no list", 'write ["READ"]')
        return
    catalogue = connect_catalogue()
    theirs = bitbucket(document)
    for index, scope in enumerate(scopes):
        at = In(("scopes", index))
        if not isinstance(scope, str):
            yield Problem(at, "a scope is a string", "quote it")
        elif opaque(scope) or scope in catalogue.scopes or scope.upper() in catalogue.scopes:
            continue
        elif theirs or scope in catalogue.bitbucket_scopes or ":" in scope:
            if scope not in catalogue.bitbucket_scopes:
                yield Problem(at, f'"{scope}" is no scope that we know', "", Severity.INFO)
        else:
            near = nearest(scope.upper(), catalogue.scopes)
            yield Problem(
                at,
                f'"{scope}" is no scope: the host refuses the descriptor',
                f'did you mean "{near}"?' if near else f"known: {', '.join(catalogue.scopes)}",
                edit=Replacement(at, f'"{scope}"', f'"{near}"') if near else None,
            )


IMPLIED_BY = {
    "READ": {"WRITE", "DELETE", "PROJECT_ADMIN", "SPACE_ADMIN", "ADMIN"},
    "WRITE": {"DELETE", "PROJECT_ADMIN", "SPACE_ADMIN", "ADMIN"},
    "DELETE": {"PROJECT_ADMIN", "SPACE_ADMIN", "ADMIN"},
    "PROJECT_ADMIN": {"ADMIN"},
    "SPACE_ADMIN": {"ADMIN"},
}
"""descriptor-formats.md §4.1."""


def asked(document: JsonDocument) -> list[str]:
    scopes = document.root.get("scopes")
    return [text(each).upper() for each in scopes] if isinstance(scopes, list) else []


@rule("J510", Severity.ERROR, JSON)
def read_for_webhooks(document: JsonDocument) -> Iterator[Problem]:
    scopes = asked(document)
    if bitbucket(document) or draft(document) or any(opaque(each) for each in scopes):
        return
    if {"READ"} & set(scopes) or IMPLIED_BY["READ"] & set(scopes):
        return
    for each in document.modules:
        if each.type == "webhooks":
            yield Problem(
                In(("scopes",)) if "scopes" in document.root else In(each.path[:2], key=True),
                "webhooks need the READ scope, which is not asked for",
                'add "READ" to "scopes"',
            )
            return


@rule("J511", Severity.WARNING, JSON)
def scopes_missing(document: JsonDocument) -> Iterator[Problem]:
    if "scopes" in document.root or draft(document) or "baseUrl" not in document.root:
        return
    theirs = bitbucket(document)
    yield Problem(
        In(),
        "no scopes are given: "
        + ("Bitbucket takes that for all of them" if theirs else "the app may call no API"),
        'state the least that is needed: "scopes": ["READ"]',
    )


@rule("J512", Severity.INFO, JSON)
def scope_included(document: JsonDocument) -> Iterator[Problem]:
    scopes = asked(document)
    for index, scope in enumerate(scopes):
        if by := IMPLIED_BY.get(scope, set()) & set(scopes):
            yield Problem(
                In(("scopes", index)), f"{scope} is included in {min(by)}", "leave it out"
            )
        elif scope == "ACCESS_EMAIL_ADDRESSES":
            yield Problem(
                In(("scopes", index)), "ACCESS_EMAIL_ADDRESSES needs Atlassian's approval", ""
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


@rule("J515", Severity.WARNING, JSON)
def signed_install(document: JsonDocument) -> Iterator[Problem]:
    authentication = document.root.get("authentication")
    if not isinstance(authentication, dict) or text(authentication.get("type")).lower() != "jwt":
        return
    migrations = document.root.get("apiMigrations")
    if bitbucket(document) or (isinstance(migrations, dict) and migrations.get("signed-install")):
        return
    yield Problem(
        In(("apiMigrations",)) if "apiMigrations" in document.root else In(("authentication",)),
        "signed-install is not opted in: Jira and Confluence Cloud enforce it",
        'add "apiMigrations": {"signed-install": true}',
        None if document.context.profile == "cloud" else Severity.INFO,
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


@rule("J517", Severity.WARNING, JSON)
def lifecycle_urls(document: JsonDocument) -> Iterator[Problem]:
    lifecycle = document.root.get("lifecycle")
    if lifecycle is None or draft(document):
        return
    if not isinstance(lifecycle, dict):
        yield Problem(In(("lifecycle",)), "lifecycle is no object", 'write {"installed": "/…"}')
        return
    known = connect_catalogue().lifecycle
    for name, url in lifecycle.items():
        if name not in known:
            near = nearest(name, known)
            yield Problem(
                In(("lifecycle", name), key=True),
                f'no host calls the lifecycle event "{name}"',
                f'did you mean "{near}"?' if near else f"known: {', '.join(known)}",
            )
        elif not isinstance(url, str) or not (url.startswith("/") or opaque(url)):
            yield Problem(
                In(("lifecycle", name)),
                f"lifecycle.{name} does not start with /: hosts put baseUrl before it",
                f'write "/{url}"'
                if isinstance(url, str) and "://" not in url
                else "write the path",
            )


@rule("J518", Severity.ERROR, JSON)
def secrets(document: JsonDocument) -> Iterator[Problem]:
    for path, value in document.walk():
        name = path[-1] if path else ""
        if not isinstance(value, str) or not value or opaque(value):
            continue
        named = isinstance(name, str) and name.lower().replace("_", "") in SECRET_NAMES
        if "PRIVATE KEY-----" in value or (named and path[0] != "modules"):
            yield Problem(
                In(path),
                f'"{name}" holds a secret, and descriptors are public',
                "remove it, and make a new one",
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

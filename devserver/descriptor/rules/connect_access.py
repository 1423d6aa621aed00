"""J507 to J512, J515, J517, J518: who may call whom: authentication, scopes, callbacks, secrets."""

from collections.abc import Iterator

from devserver.descriptor.catalogue import connect_catalogue
from devserver.descriptor.document import In, JsonDocument, Problem, Replacement, opaque
from devserver.descriptor.nearest import nearest
from devserver.descriptor.rules import rule
from devserver.descriptor.rules.connect_kinds import JSON, bitbucket, draft, text
from devserver.model import Severity

SECRET_NAMES = frozenset(
    ["sharedsecret", "clientsecret", "privatekey", "password", "secret", "apisecret"]
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

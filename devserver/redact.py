"""The one place that takes secrets out of whatever leaves the process.

Two ways, always both: the secrets in use are known by value (and in the forms they travel in), and
what looks like a secret is known by its shape (a header, a query parameter, user info in a URL).
Everything here is pure but for `Redactor.add`, since secrets turn up while the tool runs.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

MASK = "***"

WHOLE = 8
"""Shorter secrets are masked only where they stand alone: "test" must not eat "latest"."""

_SECRET_NAME = (
    r"(?:[\w-]{0,40}?(?:secret[-_]?key|secret|passwd|password|passphrase"
    r"|oauth_signature|pwd|api[-_]?key|access[-_]?key|private[-_]?key|token|jwt|jsessionid))"
)
"""Names whose value is a secret, in headers, queries, forms, JSON and TOML alike: `password`, and
`os_password`, `sharedSecret`, `X-Auth-Token`, which end like them."""

_NO_SECRET = "x-atlassian-token"
"""A header that says `no-check`, whatever its name."""
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "upm-token", "x-atl-token"}
)


_NAMED = (
    *("secret", "passw", "passphrase", "pwd", "token", "jwt", "jsessionid", "oauth_signature"),
    *("api", "access", "private"),
)
"""One of these is in whatever `_SECRET_NAME` fits."""

_LOOKS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    # Cookie: a=b; c=d  (to the end of the line: any of them may be a session)
    (("cookie",), r"(?i)\b((?:set-)?cookie['\"]?\s*[:=]\s*['\"]?)[^\r\n'\"]+", rf"\1{MASK}"),
    # Authorization: OAuth oauth_token="x", oauth_signature="y": quotes are part of it
    (
        ("authorization",),
        r"(?i)\b((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?(?:oauth|digest)\s)[^\r\n']+",
        rf"\1{MASK}",
    ),
    # Authorization: Basic YWRtaW46YWRtaW4=
    (
        ("authorization",),
        r"(?i)\b((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?"
        r"(?:(?:basic|bearer|jwt|negotiate)\s+)?)(?!\s*(?:oauth|digest)\s)[^\r\n'\"]+",
        rf"\1{MASK}",
    ),
    # Basic YWRtaW46YWRtaW4=, wherever it stands
    (
        ("basic", "bearer", "jwt"),
        r"(?i)\b(basic|bearer|jwt)(\s+)(?=\S*[\d=._])[A-Za-z0-9+/=._~-]{8,}",
        rf"\1\2{MASK}",
    ),
    # a JSON web token by its shape
    (("eyj",), r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*", MASK),
    # http://user:pass@host; a port is no password, nor is the word in our own advice
    (
        ("://",),
        r"(://[^/\s:@\"'<>]{0,256}:)(?!PASSWORD@|\d+(?:[/?#\s]|$))[^\s@\"'<>]{1,256}@",
        rf"\1{MASK}@",
    ),
    (("://",), r"(://)[^/\s:@\"'<>?#]{1,256}@", rf"\1{MASK}@"),
    # "sharedSecret": "x", password = 'x'
    (
        _NAMED,
        rf"(?i)(?<![\w-])({_SECRET_NAME}\\?[\"']?\s*[:=]\s*)(\\?[\"'])"
        r"((?:(?!\2)(?:[^\\\r\n]|\\.)){1,4096})(?=\2|\Z)",
        rf"\1\2{MASK}",
    ),
    # ?jwt=x&token=y
    (
        _NAMED,
        rf"(?i)(?<![\w-])({_SECRET_NAME}\s*=)\s*(?![\"'\\*])[^\s&\"'<>;,)}}\]]+",
        rf"\1{MASK}",
    ),
    # the same once encoded, in a query of a query and in what OAuth signs: jwt%3Dx%26a%3Db
    (
        _NAMED,
        rf"(?i)((?:(?<![\w%-])|(?<=%[0-9a-f]{{2}})){_SECRET_NAME}%(?:25)*3D)"
        r"(?:(?!%(?:25)*26)[^\s&\"'<>;,])+",
        rf"\1{MASK}",
    ),
    # <password>x</password>
    (_NAMED, rf"(?i)(<{_SECRET_NAME}>)[^<]+", rf"\1{MASK}"),
    # Content-Disposition: form-data; name="password", and what stands below
    (
        _NAMED,
        rf"(?i)(\bname=\"{_SECRET_NAME}\"\r?\n(?:[\w-]+:[^\n]*\n)?\r?\n)[^\r\n]+",
        rf"\1{MASK}",
    ),
    # password: x, on a line of its own; "invalid token: expired" is a reason, not a secret
    (
        _NAMED,
        rf"(?im)^((?:[ \t>]|-[ \t])*+{_SECRET_NAME}:[ \t]+)(?![\"'*]|no-?check\b)\S+",
        rf"\1{MASK}",
    ),
    (("-token",), r"(?i)\b((?:upm|atl|xsrf)-token:[ \t]*)(?!\*)[^\s\"',;]+", rf"\1{MASK}"),
    (
        ("private key",),
        r"(?s)-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(?:-----END \1PRIVATE KEY-----|\Z)",
        MASK,
    ),
)
"""What secrets look like, and what to put in their place.

Before each pattern stands, in lower case, what is in every text that it fits: to look for that
takes a hundredth of the time, and hardly anything that is shown has it.
"""
_MARKS = frozenset(mark for marks, *_ in _LOOKS for mark in marks)


def text(value: str, secrets: Iterable[str] = ()) -> str:
    """*value* without *secrets* and without what looks like one."""
    known = _known(tuple(sorted(set(secrets))))
    if known is not None:
        value = known.sub(MASK, value)
    value = _without_looks(value)
    if "%" in value:  # a name may be written t%6Fken; else what is encoded stays as it came
        plain = _PLAIN.sub(lambda found: chr(int(found[1], 16)), value)
        if (shown := _without_looks(plain)) != plain:
            return shown
    return value


_PLAIN = re.compile(r"%(4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae]|3[0-9]|2[de])", re.IGNORECASE)
"""What need not be encoded, and means the same where it is (RFC 3986 §2.3)."""


def _without_looks(value: str) -> str:
    lower = value.casefold()
    if any(mark in lower for mark in _MARKS):
        for marks, pattern, replacement in _LOOKS:
            if any(mark in lower for mark in marks):
                value = re.sub(pattern, replacement, value)
    return value


def headers(values: Mapping[str, str], secrets: Iterable[str] = ()) -> dict[str, str]:
    """HTTP headers as they may be shown; the scheme of an Authorization stays."""
    shown = {}
    secrets = tuple(secrets)
    for name, value in values.items():
        if is_secret_name(name):
            scheme, blank, _ = value.partition(" ")
            keep = blank and "authorization" in name.lower() and scheme.isalpha()
            shown[name] = f"{scheme} {MASK}" if keep else MASK
        else:
            shown[name] = text(value, secrets)
    return shown


def document(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A JSON document without secrets: by the names of its members, and in its strings."""
    secrets = tuple(secrets)
    match value:
        case str():
            return text(value, secrets)
        case Mapping():
            return {
                text(str(name), secrets): MASK
                if member and not isinstance(member, bool) and is_secret_name(str(name))
                else document(member, secrets)
                for name, member in value.items()
            }
        case Sequence() if not isinstance(value, bytes):
            return [document(each, secrets) for each in value]
        case _:
            return value


def is_secret_name(name: str) -> bool:
    """Whether what bears this name is kept back: `sharedSecret`, `password`, `Authorization`."""
    return name.lower() != _NO_SECRET and (
        name.lower() in SECRET_HEADERS
        or re.fullmatch(_SECRET_NAME, name, re.IGNORECASE) is not None
    )


class Redactor:
    """The secrets in use, taken out of strings, headers and documents.

    One for the process: whoever learns a secret adds it before it can be written anywhere.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()  # replaced, not changed: threads read it
        self.add(*secrets)

    def __repr__(self) -> str:
        return f"<Redactor of {self.known} secrets>"

    @property
    def known(self) -> int:
        """How many there are: what was shown before there were more may hold one."""
        return len(self._secrets)

    def add(self, *secrets: str) -> None:
        """Know these from now on; empty ones are nothing."""
        self._secrets |= {each for each in secrets if each}

    def text(self, value: str) -> str:
        return text(value, self._secrets)

    def headers(self, values: Mapping[str, str]) -> dict[str, str]:
        return headers(values, self._secrets)

    def document(self, value: Any) -> Any:
        return document(value, self._secrets)


@cache
def _known(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """One pattern for all forms of all secrets, the longest first."""
    forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    return re.compile("|".join(map(_exactly, forms))) if forms else None


def _forms(secret: str) -> Iterable[str]:
    """A secret as it stands in text, URLs, JSON, XML and headers."""
    import json
    from urllib.parse import quote, quote_plus

    if not secret:
        return
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    marked = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield marked
    for double in ("&quot;", "&#34;"):
        for single in ("'", "&#39;", "&#x27;", "&apos;"):
            yield marked.replace('"', double).replace("'", single)
    yield from _base64(secret)


def _base64(secret: str) -> Iterable[str]:
    """Base64 of the secret, and what is the same in base64 of any text that ends in it.

    `user:secret` encodes differently for each length of the user; of the three alignments only
    the characters that depend on nothing before the secret are kept.
    """
    raw = secret.encode()
    yield b64encode(raw).decode()
    for before in (1, 2):
        aligned = b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = aligned[before + 1 :]
        if len(inner) >= WHOLE:
            yield inner


def _exactly(form: str) -> str:
    pattern = re.escape(form)
    return pattern if len(form) >= WHOLE else rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"

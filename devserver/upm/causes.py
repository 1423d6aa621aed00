"""Every refusal of a target: how it is recognised, what it is called, what to do, what comes next.

The table is data, `refusals.toml`; this module reads it, finds the row for a refusal and makes the
exception of it. Rows that know a task by its text are tried first, then those that name a subCode,
then the others, each in their order, and the first that fits wins. `docs/refusals.md` and
`upm-dev explain CODE` print the same rows.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from devserver.errors import CredentialsRejected, TargetError, TargetRefused, TargetUnavailable
from devserver.upm import answers


class Call(StrEnum):
    """What was being asked for: the same answer may mean different things."""

    TOKEN = "token"
    INSTALL = "install"
    UPLOAD = "upload"
    TASK = "task"
    OUTCOME = "outcome"
    """Of a task that has ended: what it says is no answer's, and has no status."""
    PLUGIN = "plugin"
    CHANGE = "change"
    UNINSTALL = "uninstall"
    IDENTITY = "identity"
    SETTINGS = "settings"
    STATUS = "status"


class Trouble(StrEnum):
    """What went wrong where nothing was answered, or where the answer is no HTTP."""

    REFUSED = "refused"
    DNS = "dns"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RESET = "reset"
    CUT = "cut"
    CERTIFICATE = "certificate"
    TLS = "tls"
    PROXY = "proxy"
    PROXY_KIND = "proxy-kind"
    NOT_HTTP = "not-http"
    CLOUD = "cloud"
    NO_TOKEN = "no-token"
    NOT_UPM = "not-upm"
    TASK_LIMIT = "task-limit"
    OLDER = "older"
    OTHER_KEY = "other-key"


MOST = 200
"""Characters of what a target says that are shown."""
SEEN = "seen"
"""The `trouble` of rows that no answer fits: what upm-dev itself sees, with a page all the same."""


class Next(StrEnum):
    """What happens after a refusal."""

    RETRY = "retry"
    WAIT = "wait for the next change"
    ASK = "stop and ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What is known of one refusal. `headers` has lower-case names; `text` is the body's start."""

    call: Call
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    sub_code: str = ""
    text: str = ""
    html: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One row. Empty conditions fit everything; `sub_code` may end in `*`."""

    code: str
    next: Next
    sentence: str
    remedy: str
    about: str = ""
    calls: frozenset[str] = frozenset()
    status: tuple[int, ...] = ()
    header: tuple[str, str] = ("", "")
    sub_code: str = ""
    text: str = ""
    html: bool | None = None
    trouble: str = ""

    def fits(self, refusal: Refusal) -> bool:
        name, value = self.header
        return (
            self.trouble == (refusal.trouble or "")
            and (not self.calls or refusal.call in self.calls)
            and (not self.status or refusal.status in self.status)
            and (not name or _found(value, refusal.headers.get(name.lower())))
            and (not self.sub_code or _same(self.sub_code, refusal.sub_code))
            and (not self.text or _found(self.text, refusal.text))
            and (self.html is None or self.html == refusal.html)
        )


_WORDS: Mapping[Call, str] = {
    Call.TOKEN: "question for a token",
    Call.INSTALL: "installation",
    Call.UPLOAD: "upload",
    Call.TASK: "question how far the installation is",
    Call.OUTCOME: "installation",
    Call.PLUGIN: "question for the installed app",
    Call.CHANGE: "change of the app",
    Call.UNINSTALL: "removal of the app",
    Call.IDENTITY: "question for the host's identity",
    Call.SETTINGS: "question for the settings",
    Call.STATUS: "question for the product's state",
}

_CLASSES: Mapping[Next, type[TargetError]] = {
    Next.RETRY: TargetUnavailable,
    Next.WAIT: TargetRefused,
    Next.ASK: CredentialsRejected,
}


@cache
def table() -> tuple[Cause, ...]:
    """Every row, as the file has them."""
    text = Path(__file__).with_name("refusals.toml").read_text("utf-8")
    return tuple(_row(each) for each in tomllib.loads(text)["cause"])


@cache
def _tried() -> tuple[Cause, ...]:
    """The rows in the order they are tried.

    First the texts that a task ends with: they come with the subCode of any failed installation.
    Then what names a subCode, which knows better than a status.
    """

    def knows(row: Cause) -> int:
        if row.text and not row.status and not row.sub_code:
            return 0
        return 1 if row.sub_code else 2

    return tuple(sorted(table(), key=knows))


def cause(refusal: Refusal) -> Cause:
    """The first row that fits; the table ends in rows that fit everything."""
    return next(row for row in _tried() if row.fits(refusal))


def error(
    refusal: Refusal, facts: Mapping[str, str], hide: Callable[[str], str] = str
) -> TargetError:
    """The exception for *refusal*; *facts* fill the places of its sentence (`{target}`).

    *hide* takes the secrets out of what the target said.
    """
    row = cause(refusal)
    location = refusal.headers.get("location", "")
    known = _Known(
        {
            "call": _WORDS[refusal.call],
            "status": str(refusal.status),
            "sub_code": _line(refusal.sub_code, hide),
            "detail": detail(refusal, hide),
            "said": _said(refusal, hide),
            "location": _line(location or "no Location", hide),
            "moved": _line(_base(facts.get("url", ""), location), hide),
            **facts,
        }
    )
    reason = row.sentence.format_map(known)
    remedy = row.remedy.format_map(known)
    if row.next is Next.RETRY:
        return TargetUnavailable(
            reason,
            remedy=remedy,
            code=row.code,
            retry_after=retry_after(refusal.headers.get("retry-after"), datetime.now(UTC)),
        )
    return _CLASSES[row.next](reason, remedy=remedy, code=row.code)


def _said(refusal: Refusal, hide: Callable[[str], str]) -> str:
    """All of it: the target's words, and the subCode where that is not what they are."""
    words, code = detail(refusal, hide), _line(refusal.sub_code, hide)
    return f"{words} ({code})" if code and code not in words else words


def _line(text: str, hide: Callable[[str], str]) -> str:
    """*text* as one line of bounded length; hidden before it is cut, since half a secret shows."""
    line = answers.printable(hide(" ".join(text.split())))
    return f"{line[:MOST]}…" if len(line) > MOST else line


def _base(url: str, location: str) -> str:
    """The base URL of the UPM at *location*, which a host at *url* named in a redirect."""
    return urljoin(f"{url}/", location).partition("/rest/plugins/")[0]


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks us to wait: a number, or a date (RFC 9110 §10.2.3).

    At most one hour: a target that says more is asked again then.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), 3600.0) if seconds == seconds else None


def detail(refusal: Refusal, hide: Callable[[str], str] = str) -> str:
    """What the target itself said, in one line: its message, else the body without tags.

    *hide* takes the secrets out of it. With it goes the number under which the host's log has the
    rest (upm-protocol.md §5.7).
    """
    text = refusal.text
    referral = re.search(r"referral number:\s*([0-9A-Za-z-]{4,64})", text)
    found = re.search(r'"(?:errorMessage|message)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    if found:
        text = found.group(1).replace("\\n", " ").replace('\\"', '"')
    elif refusal.html and (title := re.search(r"(?is)<title[^>]*>(.*?)</title>", text)):
        text = f'a page titled "{title.group(1).strip()}"'
    else:
        text = re.sub(r"(?is)<(script|style).*?</\1>|<[^>]*>", " ", text)
    line = _line(text, hide) or "(nothing)"
    return f"{line} (its log's referral number: {referral.group(1)})" if referral else line


def page(code: str) -> str | None:
    """The page of a refusal, for a terminal; None where there is no such code."""
    row = next((each for each in table() if each.code == code.upper()), None)
    if row is None:
        return None
    parts = [
        f"{row.code}: {_in_general(row.sentence)}.",
        f"What to do: {_in_general(row.remedy)}.",
        row.about.strip(),
        f"What happens next: {row.next.value}. Recognised by: {_signs(row)}.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def codes() -> Mapping[str, str]:
    """Every code, in the order of the table, with its sentence."""
    return {row.code: _in_general(row.sentence) for row in table()}


def reference() -> str:
    """The whole of `docs/refusals.md`."""
    head = (
        "# Refusals\n\n"
        "Why a target says no, how `upm-dev` recognises it, what to do, and what happens next:\n"
        "it is tried again, the next change is waited for, or nothing is sent until you say so.\n"
        "`upm-dev explain CODE` prints one of these pages. Generated from\n"
        "`devserver/upm/refusals.toml` by `python -m devserver.upm.causes`; do not edit it here.\n"
    )
    index = [f"- [{row.code}](#{row.code.lower()}): {_in_general(row.sentence)}" for row in table()]
    return "\n".join([head, *index, "", *(_section(row) for row in table())])


def _section(row: Cause) -> str:
    sentence = _in_general(row.sentence)
    lines = [f"## {row.code}", "", f"{sentence[:1].upper()}{sentence[1:]}.", ""]
    lines += [f"**What to do**: {_in_general(row.remedy)}.", ""]
    if row.about:
        lines += [row.about.strip(), ""]
    lines += [f"**What happens next**: {row.next.value}.", "", f"**Recognised by**: {_signs(row)}."]
    return "\n".join([*lines, ""])


def _in_general(text: str) -> str:
    return text.format_map(_Known(_IN_GENERAL))


_IN_GENERAL = {
    "target": "the target",
    "url": "URL",
    "host": "HOST",
    "port": "PORT",
    "user": "the user",
    "secret": "password or token",
    "moved": "another address",
    "proxy": "PROXY",
    "status": "STATUS",
    "call": "request",
    "uri": "the descriptor's address",
    "location": "another address",
    "key": "KEY",
    "sub_code": "its subCode",
    "limit": "LIMIT",
    "listed": "THEIRS",
    "version": "OURS",
    "detail": "(what it says)",
    "said": "(what it says)",
}
"""What stands in a page where a message has its facts."""


def _signs(row: Cause) -> str:
    signs = []
    if row.trouble == SEEN:
        return "what upm-dev itself saw"
    if row.trouble:
        signs.append(f"what upm-dev meets in place of a good answer ({row.trouble})")
    if row.status:
        signs.append("status " + ", ".join(str(each) for each in row.status))
    if row.header[0]:
        signs.append(
            f"header `{row.header[0]}`" + (f" with `{row.header[1]}`" * bool(row.header[1]))
        )
    if row.sub_code:
        signs.append(f"subCode `{row.sub_code}`")
    if row.text:
        signs.append(f"a text like `{row.text}`")
    if row.html:
        signs.append("an HTML page in place of JSON")
    if row.calls:
        signs.append("while asking for: " + ", ".join(sorted(row.calls)))
    return "; ".join(signs) or "nothing else fits"


def _row(raw: Mapping[str, Any]) -> Cause:
    name, value = raw.get("header", ("", ""))
    return Cause(
        code=raw["code"],
        next=next(each for each in Next if each.name.lower() == raw["next"]),
        sentence=raw["sentence"],
        remedy=raw["remedy"],
        about=raw.get("about", ""),
        calls=frozenset(Call(each) for each in raw.get("calls", ())),
        status=tuple(raw.get("status", ())),
        header=(name, value),
        sub_code=raw.get("sub-code", ""),
        text=raw.get("text", ""),
        html=raw.get("html"),
        trouble=raw.get("trouble", ""),
    )


def _found(pattern: str, text: str | None) -> bool:
    return text is not None and re.search(pattern, text, re.IGNORECASE) is not None


def _same(pattern: str, sub_code: str) -> bool:
    if pattern.endswith("*"):
        return sub_code.startswith(pattern[:-1])
    return sub_code == pattern


class _Known(dict[str, str]):
    """A sentence's facts; one that is not known here stays visible as `…`."""

    def __missing__(self, name: str) -> str:
        return "…"


if __name__ == "__main__":  # pragma: no cover
    print(reference())  # noqa: T201

"""A call from a host, and what we found about it, as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devserver.model import Verdict


def is_text(value: str) -> bool:
    """Whether *value* can be written anywhere: it holds no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


SAYS_LIMIT = 1024 * 1024
"""Bytes of a body that is read for what it says: as values it can take twenty times its size, and
anybody may send one. What hosts say of an installation takes one KB."""


def said_in(body: bytes) -> dict[str, Any]:
    """The JSON object of *body*; empty where there is none, or it is larger than `SAYS_LIMIT`."""
    if len(body) > SAYS_LIMIT:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as the host made it.

    `url` is what the host was told to call: our public base URL, then path and query as they came.
    It is never built from `Host`, which whoever calls can choose. `headers` are looked up in any
    case.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str:
        """Its text; bytes that are none are question marks."""
        wanted = name.lower()
        found = next((v for k, v in self.headers.items() if k.lower() == wanted), "")
        return found.encode(errors="replace").decode()

    @cached_property
    def says(self) -> dict[str, Any]:
        """The JSON object of the body; read once."""
        return said_in(self.body)

    def said(self, name: str) -> str | None:
        """A text of the body; half a surrogate pair is JSON, but no text."""
        value = self.says.get(name)
        return value if isinstance(value, str) and is_text(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What was signed, as we made it up and as the caller must have.

    A signature does not say what it is of; `theirs` is the variant of the request that it fits,
    None where none of those we tried does. `cause` says how the one became the other.
    """

    ours: str
    theirs: str | None = None
    cause: str = ""

    @property
    def difference(self) -> int | None:
        """Where the two first differ, counted from 0."""
        if self.theirs is None or self.theirs == self.ours:
            return None
        pairs = zip(self.ours, self.theirs, strict=False)
        shorter = min(len(self.ours), len(self.theirs))
        return next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)

    def to_json(self) -> str:
        return json.dumps([self.ours, self.theirs, self.cause])

    @classmethod
    def from_json(cls, text: str) -> "Explanation":
        ours, theirs, cause = json.loads(text)
        return cls(ours=ours, theirs=theirs, cause=cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Who called. `reason` says why it is not genuine, and never holds a secret.

    `target` is whose key signed it: what a forged call has one for was changed on its way. `key` is
    the app that the body speaks of: hosts do not sign bodies, so it proves nothing alone.
    """

    verdict: Verdict
    event: str
    reason: str | None = None
    target: str | None = None
    key: str | None = None
    explanation: Explanation | None = None

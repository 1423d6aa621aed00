"""The journal of requests: every exchange as a value, in memory and as JSON Lines."""

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from devserver.errors import CannotStart

KEPT = 2000

SHOWN_HEADERS = (
    "Accept",
    "Content-Type",
    "User-Agent",
    "X-Atlassian-Token",
    "Origin",
    "Referer",
    "Location",
    "upm-token",
    "X-Seraph-LoginReason",
    "X-Authentication-Denied-Reason",
    "Retry-After",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer. Secrets are in it as marks: the same mark, the same secret."""

    number: int
    time: float
    method: str
    path: str
    """With its query."""
    user: str
    by: str
    """How the user was known: password, token, session, nobody."""
    status: int | None
    """None where the connection was cut."""
    ms: float
    stage: str
    request: Mapping[str, str]
    response: Mapping[str, str]
    deviations: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        moment = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        document = {name: getattr(self, name) for name in self.__slots__}
        return {
            **document,
            "time": moment.replace("+00:00", "Z"),
            "ms": round(self.ms, 1),
            "deviations": list(self.deviations),
            "faults": list(self.faults),
        }


class Journal:
    """The newest exchanges, also written to *path* as they come."""

    def __init__(self, path: Path | None = None) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)
        self._file = _open(path) if path else None
        self._count = 0

    def __iter__(self) -> Iterator[Exchange]:
        return iter(tuple(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    def next_number(self) -> int:
        self._count += 1
        return self._count

    def add(self, exchange: Exchange) -> None:
        self._kept.append(exchange)
        if self._file:
            self._file.write(json.dumps(exchange.to_json()) + "\n")
            self._file.flush()

    def clear(self) -> None:
        self._kept.clear()

    def close(self) -> None:
        if self._file:
            self._file.close()


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise CannotStart(f"{path} cannot be written: {error}", remedy="see --log") from error


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that tell something and give nothing away."""
    found = {name: shown_path(headers[name])[:500] for name in SHOWN_HEADERS if name in headers}
    if token := headers.get("upm-token"):
        found["upm-token"] = mark(token)
    if authorization := headers.get("Authorization"):
        found["Authorization"] = f"{authorization.partition(' ')[0][:20]} …"
    return found


def shown_path(path: str) -> str:
    """A path or URL with its query, what is secret in it as marks."""
    path = _USER_INFO.sub("//…@", path)
    return _SECRET.sub(lambda found: f"{found[1]}{found[2]}{mark(found[3])}", path)


def mark(secret: str) -> str:
    """Tells one secret from another, and nothing else."""
    return "#" + hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()[:6]


_SECRET = re.compile(
    r"([\w.-]*(?:token|jwt|signature|password|secret)[\w.-]*)(=|%3D)([^&#]*?)(?=&|#|%26|$)",
    re.IGNORECASE,
)
"""A destination that a page leads back to is a URL in a URL, so encoded."""
_USER_INFO = re.compile(r"//[^/?#@\s]*@")

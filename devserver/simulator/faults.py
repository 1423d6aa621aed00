"""Misbehaviour on command: what goes wrong, at which stage, how often. Pure.

A fault is chosen by count (`skip`, `times`), by chance (`probability`, from the run's seed) or by a
`pattern` such as "..x" that says call by call whether it strikes. The same seed and the same calls
give the same run.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any

from devserver.errors import UsageError

STAGES = ("token", "install", "poll", "fetch", "callback", "other", "any")

KINDS: Mapping[str, tuple[str, ...]] = {
    "latency": STAGES,
    "hang": STAGES,
    "reset": ("token", "install", "poll", "other", "any"),
    "truncate": ("token", "install", "poll", "other", "any"),
    "status": ("token", "install", "poll", "fetch", "other", "any"),
    "html": ("token", "install", "poll", "other", "any"),
    "no-token": ("token",),
    "steal-token": ("install",),
    "forget-task": ("poll",),
    "endless": ("install",),
    "error": ("install", "fetch"),
    "disable": ("install",),
    "lost": ("callback",),
    "double": ("callback",),
    "late": ("callback",),
    "out-of-order": ("callback",),
    "restart": ("token", "install", "poll", "fetch", "callback", "other", "any"),
    "clock-skew": STAGES,
}
"""Kind of fault -> the stages it can strike at (docs/simulator.md has what each does)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    `match` is a regular expression that has to be found in `METHOD /path?query` (REST), the URI
    (fetch) or `event app-key` (callback).
    """

    kind: str
    stage: str = "any"
    skip: int = 0
    """Matching calls that are let pass first."""
    times: int | None = None
    """How often it strikes; None: always."""
    probability: float = 1.0
    pattern: str = ""
    """`x` strikes, anything else does not; begins again at its end."""
    match: str = ""
    ms: int = 0
    """latency, late: how long; clock-skew: how far, either way. hang: until the other side gives
    up, or so long."""
    status: int = 503
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    """error: the subCode; disable: the module, without one the app."""
    message: str = ""
    after: bool = False
    """reset, status, html: the request is carried out first, and only its answer is lost."""
    memory: bool = True
    """restart: whether plugins survive it."""
    down_ms: int = 0
    """restart: how long nothing but 503 is answered."""

    @property
    def sub_code(self) -> str:
        """What a task ends with."""
        return self.code or "upm.plugin.error.unexpected.error"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                f'there is no fault "{self.kind}"', remedy=f"known: {', '.join(KINDS)}"
            )
        if self.stage not in KINDS[self.kind]:
            raise UsageError(
                f'a fault "{self.kind}" cannot strike at "{self.stage}"',
                remedy=f"it can at: {', '.join(KINDS[self.kind])}",
            )
        if not 0 <= self.probability <= 1:
            raise UsageError(
                f"probability {self.probability} is not between 0 and 1", remedy="0.3, say"
            )
        if self.kind == "status" and not 200 <= self.status <= 599:
            raise UsageError(f"status {self.status} cannot be sent", remedy="200 to 599")
        try:
            re.compile(self.match)
        except re.error as error:
            raise UsageError(
                f'match "{self.match}" is no regular expression: {error}', remedy="mend it"
            ) from error


def parse_faults(text: str) -> tuple[Fault, ...]:
    """The faults of a TOML file: `[[fault]]` tables with the fields of `Fault`.

    Raises UsageError.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"the faults are not TOML: {error}", remedy="see docs/simulator.md"
        ) from error
    listed = document.pop("fault", [])
    if document or not isinstance(listed, list):
        raise UsageError(
            f"a faults file has [[fault]] tables, not {', '.join(document) or 'this'}",
            remedy="see docs/simulator.md",
        )
    return tuple(from_mapping(each) for each in listed)


def from_mapping(table: Any) -> Fault:
    """One fault from TOML or JSON; `down-ms` and `down_ms` are the same. Raises UsageError."""
    if not isinstance(table, dict) or "kind" not in table:
        raise UsageError("a fault is a table with a kind", remedy='kind = "latency"')
    known = {each.name: each for each in fields(Fault)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        field_name = str(name).replace("-", "_")
        if field_name not in known:
            raise UsageError(f'a fault has no "{name}"', remedy=f"it may have: {', '.join(known)}")
        values[field_name] = _typed(field_name, value)
    return Fault(**values)


def _typed(name: str, value: Any) -> Any:
    expected: dict[str, type | tuple[type, ...]] = {
        "skip": int,
        "times": int,
        "ms": int,
        "status": int,
        "down_ms": int,
        "probability": (int, float),
        "headers": dict,
        "memory": bool,
        "after": bool,
    }
    kind = expected.get(name, str)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"a fault's {name} cannot be {value!r}", remedy="see docs/simulator.md")
    if isinstance(value, dict) and not all(isinstance(each, str) for each in value.values()):
        raise UsageError("a fault's headers are text", remedy='headers = { Retry-After = "2" }')
    return value


def from_header(text: str, stage: str) -> Fault:
    """A fault asked for by one request: `kind; name=value; ...`. Raises UsageError.

    `status; status=503; Retry-After=2` makes what is no field of a fault a header.
    """
    kind, *rest = (part.strip() for part in text.split(";"))
    if kind in ("restart", "clock-skew"):
        raise UsageError(f"a {kind} is not one request's affair", remedy="script it")
    known = {each.name for each in fields(Fault)}
    table: dict[str, Any] = {"kind": kind, "stage": stage, "headers": {}}
    for part in rest:
        name, _, value = (each.strip() for each in part.partition("="))
        field_name = name.replace("-", "_").lower()
        if field_name not in known:
            table["headers"][name] = value
        elif field_name in ("skip", "times", "ms", "status", "down_ms"):
            table[field_name] = _number(name, value)
        elif field_name in ("memory", "after"):
            table[field_name] = value.lower() == "true"
        elif field_name not in ("stage", "kind", "headers", "probability", "pattern"):
            table[field_name] = value
    return from_mapping(table)


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", value):
        raise UsageError(f"a fault's {name} cannot be {value!r}", remedy="a whole number")
    return int(value)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    random: Random
    """Its own: what it does depends on its own calls alone, however others interleave."""
    calls: int = 0
    struck: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times


class Script:
    """The faults in force, and how far each of them is."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._armed: list[_Armed] = []

    def add(self, faults: Iterable[Fault]) -> None:
        self._armed.extend(_Armed(fault, Random(self._random.getrandbits(64))) for fault in faults)

    def clear(self) -> None:
        self._armed.clear()

    def listed(self) -> list[tuple[Fault, int, int]]:
        """Each fault with the calls it saw and how often it struck."""
        return [(each.fault, each.calls, each.struck) for each in self._armed]

    def take(self, stage: str, what: str) -> tuple[Fault, ...]:
        """The faults that strike at this call, in the order they were added."""
        return tuple(
            each.fault
            for each in self._armed
            if each.fault.stage in (stage, "any")
            and stage in KINDS[each.fault.kind]
            and re.search(each.fault.match, what)
            and self._strikes(each)
        )

    def _strikes(self, armed: _Armed) -> bool:
        fault = armed.fault
        position = armed.calls - fault.skip
        armed.calls += 1
        if position < 0 or armed.spent:
            return False
        if fault.pattern and fault.pattern[position % len(fault.pattern)] != "x":
            return False
        if fault.probability < 1 and armed.random.random() >= fault.probability:
            return False
        armed.struck += 1
        return True

"""The values that travel between the stages: frozen, complete when made, no I/O.

Snapshot -> Rendering -> Diagnostic*  -> Revision -> (a target's) Attempt
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file the user edits.

    `file` is relative to the project, with `/`; `line` and `column` count from 1, columns in code
    points. Line 0 means the file as a whole.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return (
            f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """One safe replacement in a source file: `length` code points at `position` become `text`.

    `old` is what has to stand there, or else the edit must not be made.
    """

    position: Position
    length: int
    text: str
    old: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One mistake of the user's: what is wrong, where, and what to do.

    `code` is stable and never reused; the wording of `message` and `fix` may change. `notes` are
    further places or facts that explain it ("opened on line 2", "while item = 3").
    """

    code: str
    severity: Severity
    message: str
    position: Position
    fix: str = ""
    notes: tuple[str, ...] = ()
    edit: Edit | None = None

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


class Kind(StrEnum):
    """The dialect of a descriptor (descriptor-formats.md §1)."""

    REMOTE_XML = "remote-xml"
    """`atlassian-plugin.xml` with a remote module: Connect XML, 2012 to 2014."""
    REMOTE_APP = "remote-app"
    """`atlassian-remote-app.xml` of 2011 to 2012."""
    P2 = "p2"
    """`atlassian-plugin.xml` of the plugin framework."""
    CONNECT_JSON = "connect-json"


@dataclass(frozen=True, slots=True)
class CallbackSpec:
    """A callback that a descriptor declares: the host POSTs to `path` on `event`.

    `path` is as declared: relative to the descriptor's base URL, with a leading slash. `signed`:
    hosts sign even the first one with their own key: those of the XML era always do, later ones
    where the descriptor asks for it (upm-protocol.md §7.1, §7.4).
    """

    event: str
    path: str
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """A module of a descriptor: its type, its key and everything it says, flattened.

    `facts` maps a path inside the module (`@url`, `label@key`, `conditions/condition[2]@name`) to
    its text, so that two modules compare as values and a difference can name its place.
    """

    type: str
    key: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What everything after the parser needs to know of one descriptor that is fit to serve."""

    kind: Kind
    key: str
    name: str
    version: str | None
    body: bytes
    """The exact bytes that are served."""
    canonical: str
    """SHA-256 of the canonical form: equal where white space, comments and order alone differ."""
    base_url: str | None = None
    """`display-url` or `baseUrl`: where the host sends callbacks."""
    confirming: CallbackSpec | None = None
    """The callback that proves an installation, where one is declared."""
    callbacks: tuple[CallbackSpec, ...] = ()
    modules: tuple[Module, ...] = ()
    root: tuple[tuple[str, str], ...] = ()
    """What the descriptor says outside its modules (name, version, vendor, permissions, scopes)."""
    carried: str = ""
    """SHA-256 of what goes along with it in a JAR; empty where it stands alone."""
    digest: str = field(default="")
    """SHA-256 of `body`, hexadecimal; in a JAR, of that and of what goes along."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self.body + self.carried.encode()))

    @property
    def anywhere(self) -> str:
        """The digest of what it says wherever the app is: at another port `digest` is another."""
        scheme, _, rest = (self.base_url or "").partition("://")
        address = f"{scheme}://{rest.partition('/')[0]}".encode()
        return digest_of(self.body.replace(address, b"") if rest else self.body)

    @property
    def media_type(self) -> str:
        """The Content-Type it is served with (upm-protocol.md §8)."""
        if self.kind is Kind.CONNECT_JSON:
            return "application/json; charset=UTF-8"
        return "application/xml; charset=UTF-8"

    @property
    def file_name(self) -> str:
        """The name it is served under."""
        return {
            Kind.CONNECT_JSON: "atlassian-connect.json",
            Kind.REMOTE_APP: "atlassian-remote-app.xml",
        }.get(self.kind, "atlassian-plugin.xml")


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Revision:
    """One successful rendering: `r1`, `r2`, ..., with one descriptor for each target.

    `descriptors` maps a target's name to what that target is to run, in the order of the targets;
    they differ only where targets have variables of their own.
    """

    number: int
    descriptors: Mapping[str, Descriptor]

    def __post_init__(self) -> None:
        object.__setattr__(self, "descriptors", MappingProxyType(dict(self.descriptors)))

    @property
    def name(self) -> str:
        return f"r{self.number}"

    @property
    def first(self) -> Descriptor:
        """The first target's descriptor: what the bare URL serves."""
        return next(iter(self.descriptors.values()))

    @property
    def digest(self) -> str:
        return self.first.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host with a UPM. Holds no secret: `credentials.py` finds that by origin."""

    name: str
    url: str
    """Base URL with the context path, without a trailing slash: `http://localhost:2990/jira`."""
    user: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    dev: bool = False
    """The user said that this target may be written to without asking."""
    ca_file: str | None = None
    """PEM file of the authority that signed its certificate, trusted beside the system's own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", MappingProxyType(dict(self.variables)))


class TargetState(StrEnum):
    """Where a revision is on its way to a target; each is an event, and each is shown."""

    WAITING = "waiting"
    REGISTERING = "registering"
    ACCEPTED = "accepted"
    FETCHED = "fetched"
    INSTALLED = "installed"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    REFUSED = "refused"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    DRIFTED = "drifted"
    RESTART_NEEDED = "restart-needed"
    UNREGISTERED = "unregistered"


class Proof(StrEnum):
    """What a confirmation rests on: the `by` of an event."""

    CALLBACK = "callback"
    UPM = "upm"
    UNCHANGED = "unchanged"


class Verdict(StrEnum):
    """What we found when we checked who sent a callback."""

    GENUINE = "genuine"
    FORGED = "forged"
    """Signed, but not by the target it claims; or not signed where it has to be."""
    UNVERIFIABLE = "unverifiable"
    """The target's key could not be had, so nothing can be said."""


class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class FactChange:
    """One fact of a module before and after; None where it was not there."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one module between two revisions.

    `type` is the module's element or property name, or `descriptor` for what stands outside the
    modules (then `key` is empty). `was` is the old key of a renamed module.
    """

    kind: ChangeKind
    type: str
    key: str
    was: str | None = None
    facts: tuple[FactChange, ...] = ()

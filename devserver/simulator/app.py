"""What a host knows of an app: values that every artefact, XML, JSON or JAR, is parsed into."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an artefact turned out to be (upm-protocol.md §8)."""

    JAR = "jar"
    OBR = "obr"
    XML = "xml"
    REMOTE_XML = "remote-xml"
    REMOTE_APP = "remote-app"
    CONNECT_JSON = "connect-json"

    @property
    def remote(self) -> bool:
        return self in (Kind.REMOTE_XML, Kind.REMOTE_APP, Kind.CONNECT_JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module. `url` is what its page, panel or webhook answers at, relative to the app."""

    key: str
    type: str
    name: str
    description: str = ""
    url: str | None = None
    location: str | None = None
    event: str | None = None
    """Of a webhook."""
    enabled: bool = True
    recognisable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app as its artefact describes it."""

    kind: Kind
    key: str
    name: str
    version: str
    description: str = ""
    vendor: str = ""
    vendor_url: str = ""
    modules: tuple[Module, ...] = ()
    base_url: str | None = None
    """Where pages and callbacks of a remote app are: `display-url` or `baseUrl`."""
    lifecycle: tuple[tuple[str, str], ...] = ()
    """Connect JSON: event -> relative URL."""
    authentication: str = "none"
    """`oauth` where the container has one, `jwt` or `none` for Connect JSON."""
    signed_install: bool = False
    plugins_version: str | None = None
    """As written; None where the descriptor does not say."""
    paid: bool = False
    signed: bool = False
    """A JAR that carries a signature file."""
    handler: str | None = None
    """`install-handler` of 2012: called before the install counts, and may refuse it."""
    enabled_by_default: bool = True
    params: tuple[tuple[str, str], ...] = field(default=())

    def webhooks(self, event: str) -> tuple[str, ...]:
        """Relative URLs that *event* is posted to."""
        return tuple(
            module.url
            for module in self.modules
            if module.event == event and module.url is not None
        )

    def lifecycle_url(self, event: str) -> str | None:
        return dict(self.lifecycle).get(event)

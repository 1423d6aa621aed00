"""What is known of the files around a descriptor; the edge reads them, rules only look."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project's own names; None means that the folder is not there, so nothing can be said.

    `labels` are the keys of its `.properties` files, by the resource location they are declared
    under (`acme.i18n`); `classes` the fully qualified names of its sources and compiled classes,
    `packages` the packages these are in; `resources` the paths below `src/main/resources`.
    """

    labels: Mapping[str, frozenset[str]] | None = None
    classes: frozenset[str] | None = None
    packages: frozenset[str] = frozenset()
    resources: frozenset[str] | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    """Of pom.xml, with what it inherits."""
    transformerless: bool = False
    """pom.xml gives the bundle an `Atlassian-Plugin-Key`: the host transforms nothing."""
    imports: str | None = None
    """Import-Package of a built bundle; None where nothing is built."""
    scanned: bool = False
    """`Atlassian-Scan-Folders`: other files add modules."""

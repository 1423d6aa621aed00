"""What a pom.xml says: the properties that fill `${…}` in a descriptor, and the bundle's manifest.

Only what is on disk is known: properties, parents by `relativePath` or by their place above,
profiles that are active by default, `project.*` and `pom.*`. Nothing is downloaded, and a value
that needs what is not there stays a placeholder. The safe parser of descriptors reads it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath

from devserver.descriptor.document import Element
from devserver.descriptor.placeholders import MAX_GROWTH, fill
from devserver.descriptor.xml import parse_bytes

POM = "pom.xml"
MAX_PARENTS = 20

AMPS = re.compile(
    r"(?:maven-)?(?P<product>amps|jira|confluence|bamboo|bitbucket|stash|crowd|fecru|refapp)"
    r"(?:-maven)?-plugin"
)
"""`jira-maven-plugin`, `maven-jira-plugin`, `amps-maven-plugin`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pom:
    """A pom.xml with everything it inherits from parents that are at hand.

    `properties` are resolved as far as that goes; `parents` and `absent` name the files, relative
    to the project, that were used and that would be; `modules` its folders of submodules;
    `instructions` the bundle instructions of the SDK's plugin; `product` what AMPS starts.
    """

    properties: Mapping[str, str]
    parents: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    instructions: Mapping[str, str] = field(default_factory=dict)
    product: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of AMPS: `httpPort`, `contextPath`, `productVersion`."""

    @property
    def transformerless(self) -> bool:
        """The bundle gets an `Atlassian-Plugin-Key`, so the host makes no manifest."""
        return "Atlassian-Plugin-Key" in self.instructions

    @property
    def scanned(self) -> bool:
        """Descriptors in META-INF/plugin-descriptors are read along."""
        return "Atlassian-Scan-Folders" in self.instructions


def read(files: Mapping[str, bytes], name: str = POM) -> Pom | None:
    """The pom *name* of *files* with its parents among them; None where it is no good XML.

    `absent` then says which further files would help, so that the edge can read them and ask again.
    """
    chain: list[Element] = []
    used: list[str] = []
    absent: list[str] = []
    at: str | None = name
    while at is not None and len(chain) < MAX_PARENTS and at not in used:
        if at not in files:
            absent.append(at)
            break
        root = parse_bytes(files[at])
        if root is None or root.tag != "project":
            break
        if chain and _text(root, "artifactId") != _text(chain[-1].find("parent"), "artifactId"):
            absent.append(at)  # another project's: Maven looks for the parent elsewhere, too
            break
        chain.append(root)
        used.append(at)
        at = _parent(root, at)
    if not chain:
        return None
    properties = _resolved(_collected(chain))
    plugin = _plugin(chain)
    configuration = plugin.find("configuration") if plugin is not None else None
    instructions = configuration.find("instructions") if configuration is not None else None
    return Pom(
        properties=properties,
        parents=tuple(used[1:]),
        absent=tuple(absent),
        modules=tuple(
            each.text.strip()
            for holder in chain[0].all("modules")
            for each in holder.all("module")
            if each.text.strip()
        ),
        instructions={
            each.tag: fill(each.text.strip(), properties)
            for each in (instructions.children if instructions is not None else ())
        },
        product=_product(plugin, configuration, properties),
        settings={
            each.tag: fill(each.text.strip(), properties)
            for each in (configuration.children if configuration is not None else ())
            if each.tag in ("httpPort", "contextPath", "productVersion")
        },
    )


def _parent(root: Element, at: str) -> str | None:
    """Where the parent's pom would be: `relativePath`, else the folder above."""
    parent = root.find("parent")
    if parent is None:
        return None
    relative = parent.find("relativePath")
    where = relative.text.strip() if relative is not None else "../pom.xml"
    if not where:
        return None  # an empty relativePath: from a repository, never from the disk
    if not where.endswith(".xml"):
        where = join(where, POM)
    name = normpath(join(dirname(at), where))
    return None if name.startswith(("..", "/")) else name


COORDINATES = (
    "groupId", "artifactId", "version", "packaging", "name", "description", "inceptionYear",
)  # fmt: skip
INHERITED = ("groupId", "version", "description", "inceptionYear")


def _collected(chain: list[Element]) -> dict[str, str]:
    """Properties of the parents first, so that the project's own win."""
    found: dict[str, str] = {}
    for root in reversed(chain):
        sources = [*root.all("properties")]
        for profile in (each for holder in root.all("profiles") for each in holder.children):
            activation = profile.find("activation")
            default = activation.find("activeByDefault") if activation is not None else None
            if default is not None and default.text.strip() == "true":
                sources += profile.all("properties")
        found.update(
            {each.tag: each.text.strip() for holder in sources for each in holder.children}
        )
    for name, value in _model(chain).items():
        found[f"project.{name}"] = found[f"pom.{name}"] = value
        found.setdefault(name, value)  # Maven knows what is the project's without a prefix, too
    found.setdefault(
        "atlassian.plugin.key", "${project.groupId}.${project.artifactId}"
    )  # what AMPS sets where the pom does not
    return found


def _model(chain: list[Element]) -> dict[str, str]:
    """What the poms of *chain* say of the project itself; measured with Maven 3.8."""
    project = chain[0]
    parent = project.find("parent")
    found = {"packaging": "jar"}
    for name in COORDINATES:
        if value := _text(project, name):
            found[name] = value
    found.setdefault("name", found.get("artifactId", ""))
    for name in INHERITED:
        value = _text(parent, name) or next(filter(None, (_text(r, name) for r in chain[1:])), "")
        if name not in found and value:
            found[name] = value
    below = ""
    for root in chain:  # what is inherited of an address has the names of the heirs appended
        if "url" not in found and (url := _text(root, "url")):
            found["url"] = f"{url.rstrip('/')}{below}" if below else url
        for tag in ("organization", "scm", "issueManagement"):
            holder = root.find(tag)
            if holder is not None and not any(name.startswith(f"{tag}.") for name in found):
                for each in holder.children:
                    more = below if tag == "scm" and each.tag != "tag" else ""
                    found[f"{tag}.{each.tag}"] = each.text.strip() + more
        below = f"/{_text(root, 'artifactId')}{below}"
    for each in parent.children if parent is not None else ():
        found[f"parent.{each.tag}"] = each.text.strip()
    found["build.finalName"] = next(
        filter(None, (_text(each.find("build"), "finalName") for each in chain)),
        "${project.artifactId}-${project.version}",
    )
    return found


def _text(holder: Element | None, name: str) -> str:
    found = holder.find(name) if holder is not None else None
    return found.text.strip() if found is not None else ""


def _resolved(properties: dict[str, str]) -> dict[str, str]:
    """Each as far as it goes; all together they grow no more than one text may."""
    found: dict[str, str] = {}
    left = MAX_GROWTH
    for name, value in properties.items():
        found[name] = fill(value, properties, left)
        left -= max(0, len(found[name]) - len(value))
    return found


def _plugin(chain: list[Element]) -> Element | None:
    """The SDK's plugin: the project's own before a parent's, with a configuration if possible."""
    without = None
    for root in chain:
        for build in root.all("build"):
            for each in build.walk():
                if each.tag != "plugin" or not AMPS.fullmatch(_text(each, "artifactId")):
                    continue
                if each.find("configuration") is not None:
                    return each
                without = without or each
    return without


def _product(
    plugin: Element | None, configuration: Element | None, properties: Mapping[str, str]
) -> str | None:
    named = AMPS.fullmatch(_text(plugin, "artifactId"))
    if named is None:
        return None
    if named["product"] != "amps":
        return named["product"]
    for each in configuration.walk() if configuration is not None else ():
        if each.tag == "product" and each.find("id") is not None:
            return fill(_text(each, "id"), properties) or None
    return None

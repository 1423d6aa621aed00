"""X110 to X121: plugin-info, and whether there is anything beside it."""

import re
from collections.abc import Iterator

from devserver.descriptor.catalogue import xml_catalogue
from devserver.descriptor.document import Element, Problem, Replacement, XmlDocument, opaque
from devserver.descriptor.nearest import distance, nearest
from devserver.descriptor.rules import XML, rule
from devserver.model import Kind, Severity

OSGI_VERSION = re.compile(r"\d+(\.\d+(\.\d+([.-][\w-]+)*)?)?([.-][\w-]+)*")
WEB = re.compile(r"https?://", re.IGNORECASE)


def _has_info(document: XmlDocument) -> bool:
    return document.root.tag == "atlassian-plugin" and not document.fragment


@rule("X110", Severity.ERROR, *XML)
def info_once(document: XmlDocument) -> Iterator[Problem]:
    if not _has_info(document):
        return
    found = document.root.all("plugin-info")
    if not found:
        remote = document.kind is not Kind.P2
        yield Problem(
            document.root.here,
            "plugin-info is missing: "
            + (
                "the host refuses the app" if remote else "without a version no OSGi bundle is made"
            ),
            "add <plugin-info><version>…</version><vendor …/></plugin-info>",
            Severity.ERROR if remote else Severity.WARNING,
        )
    for each in found[1:]:
        yield Problem(
            each.here,
            "plugin-info is given twice",
            "merge the two",
            also=(("the first is on", found[0].here),),
        )


@rule("X111", Severity.ERROR, *XML)
def version_missing(document: XmlDocument) -> Iterator[Problem]:
    if document.info is None or not _has_info(document):
        return
    version = document.info.find("version")
    if version is None or not version.text.strip():
        yield Problem(
            document.info.here if version is None else version.here,
            "plugin-info has no version",
            "add <version>${project.version}</version>"
            if document.kind is Kind.P2
            else "add <version>1.0.0</version>",
        )


@rule("X112", Severity.WARNING, Kind.P2)
def version_shape(document: XmlDocument) -> Iterator[Problem]:
    version = document.info.find("version") if document.info else None
    text = version.text.strip() if version is not None else ""
    if version is not None and text and not opaque(text) and not OSGI_VERSION.fullmatch(text):
        yield Problem(
            version.text_at,
            f'the version "{text}" is no OSGi version',
            "use MAJOR.MINOR.MICRO, optionally .QUALIFIER: 1.2.0",
        )


@rule("X113", Severity.WARNING, *XML)
def vendor(document: XmlDocument) -> Iterator[Problem]:
    if document.fragment:
        return
    holder = document.root if document.root.tag == "remote-app" else document.info
    if holder is None:
        return
    found = holder.find("vendor")
    if found is None:
        yield Problem(holder.here, "no vendor is named", 'add <vendor name="…" url="https://…"/>')
        return
    lacking = [name for name in ("name", "url") if not found.get(name)]
    url = found.get("url")
    if lacking:
        yield Problem(
            found.here,
            f"the vendor has no {' and no '.join(lacking)}",
            " ".join(f'add {name}="…"' for name in lacking),
        )
    elif not opaque(url) and not WEB.match(url):
        yield Problem(
            found.value_at("url"),
            f'the vendor\'s url "{url}" is no web address',
            "start it with https://",
        )


@rule("X114", Severity.WARNING, Kind.P2)
def vendor_atlassian(document: XmlDocument) -> Iterator[Problem]:
    found = document.info.find("vendor") if document.info else None
    if found is None or not found.get("name").startswith("Atlassian"):
        return
    if (document.root.key + found.get("url")).find("atlassian") >= 0:
        return  # their own, or built from their artefacts
    yield Problem(
        found.value_at("name"),
        "a vendor name that starts with Atlassian switches the SDK's own extra checks on",
        "use your own name",
    )


@rule("X115", Severity.ERROR, Kind.P2)
def application_version(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("application-version"):
        wrong = [
            name
            for name in ("min", "max")
            if each.get(name) and not opaque(each.get(name)) and not _float(each.get(name))
        ]
        for name in wrong:
            yield Problem(
                each.value_at(name),
                f'{name}="{each.get(name)}" is no decimal number: old hosts stop at it',
                "remove application-version: the Marketplace knows what fits",
                Severity.WARNING,
            )
        if not wrong:
            yield Problem(
                each.here,
                "application-version is ignored since framework 2.2",
                "remove it: the Marketplace knows what fits",
                Severity.INFO,
            )


def _float(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value))


@rule("X116", Severity.WARNING, Kind.P2)
def bundle_instructions(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if project is None or not project.transformerless:
        return
    for each in document.every("bundle-instructions"):
        yield Problem(
            each.here,
            "bundle-instructions are ignored: pom.xml gives the bundle an Atlassian-Plugin-Key",
            "move them into <instructions> of pom.xml",
        )


@rule("X117", Severity.ERROR, Kind.P2)
def transformed_modules(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if project is None or not project.transformerless:
        return
    for each in document.module("component", "component-import", "module-type"):
        yield Problem(
            each.here,
            f"<{each.tag}> is ignored: pom.xml gives the bundle an Atlassian-Plugin-Key",
            "use @ComponentImport or @ExportAsService, or a Spring file",
        )


@rule("X118", Severity.INFO, Kind.P2)
def data_center_markers(document: XmlDocument) -> Iterator[Problem]:
    params = document.params
    one, other = "atlassian-data-center-compatible", "atlassian-data-center-status"
    if (one in params) != (other in params):
        there, lacking = (one, other) if one in params else (other, one)
        value = "compatible" if lacking == other else "true"
        yield Problem(
            params[there].here,
            f"{there} is there, {lacking} is not: the Marketplace wants both",
            f'add <param name="{lacking}">{value}</param>',
        )
    status = params.get(other)
    if status is not None and (text := status.text.strip()) != "compatible" and not opaque(text):
        yield Problem(
            status.text_at, f'{other} is "{text}"', "the Marketplace knows compatible alone"
        )


@rule("X119", Severity.WARNING, Kind.P2)
def param_names(document: XmlDocument) -> Iterator[Problem]:
    if document.info is None:
        return
    known = xml_catalogue().params
    for each in document.info.all("param"):
        name = each.get("name")
        if not name:
            yield Problem(each.here, "a param without a name is ignored", "give it a name")
        elif name not in known and not opaque(name):
            near = nearest(name, known)
            if near is not None and distance(name, near) <= 2:
                at = each.value_at("name")
                yield Problem(
                    at,
                    f'nothing reads the param "{name}"',
                    f'did you mean "{near}"?',
                    edit=Replacement(at, name, near),
                )


@rule("X120", Severity.WARNING, Kind.P2)
def configure_url(document: XmlDocument) -> Iterator[Problem]:
    each = document.params.get("configure.url")
    url = each.text.strip() if each is not None else ""
    if each is None or opaque(url):
        return
    if WEB.match(url):
        yield Problem(
            each.text_at,
            "configure.url is absolute: hosts put their own address before it",
            "start with /",
        )
    elif url.startswith("/plugins/servlet/"):
        path = url.removeprefix("/plugins/servlet").split("?")[0].split("#")[0]
        patterns = [
            pattern
            for servlet in document.module("servlet")
            for pattern in servlet.all("url-pattern")
        ]
        if patterns and not any(_matches(path, p.text.strip()) for p in patterns):
            yield Problem(
                each.text_at,
                f"configure.url is {url}, but no servlet of this plugin answers there",
                "align it with a url-pattern: "
                + ", ".join(f"/plugins/servlet{p.text.strip()}" for p in patterns[:3]),
            )
    elif re.match(r"/admin/plugins/[\w.-]+/", url):
        packages = [
            package
            for module in document.module("xwork", "struts")
            for package in module.all("package")
        ]
        spaces = [package.get("namespace") for package in packages]
        if spaces and not any(url.startswith(f"{space}/") for space in spaces if space):
            yield Problem(
                each.text_at,
                f"configure.url is {url}, but no package has that namespace",
                f"align it with {', '.join(filter(None, spaces))}",
            )


def _matches(path: str, pattern: str) -> bool:
    """Whether a servlet's pattern, or another plugin's shared prefix, covers *path*."""
    if opaque(pattern) or pattern in ("*", "/*"):
        return True
    pattern = pattern.removeprefix("/plugins/servlet")
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*").rstrip("/"))
    return path.rstrip("/") == pattern.rstrip("/")


@rule("X121", Severity.INFO, *XML)
def no_modules(document: XmlDocument) -> Iterator[Problem]:
    project = document.context.project
    if document.modules or document.fragment or (project is not None and project.scanned):
        return
    details: list[Element] = document.root.children
    if not any(each.tag == "resource" for each in details):
        yield Problem(
            document.root.here,
            "no module is declared: the plugin installs and adds nothing by itself",
            "add modules, unless Spring or META-INF/plugin-descriptors bring them",
        )

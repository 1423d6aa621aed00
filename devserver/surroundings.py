"""What lies around a descriptor: pom.xml with its parents, labels, classes, resources.

Bounded and read-only: no more than `MAX_FILES` names, no link is followed, nothing above the
repository (or, without one, the project) is looked at, and no command is run.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from devserver.descriptor.project import Project
from devserver.descriptor.properties import property_names

if TYPE_CHECKING:
    from devserver.descriptor import maven

MAX_FILES = 20_000
MAX_BYTES = 2 * 1024 * 1024
"""Of one .properties, .kt or pom.xml file."""
MAX_POMS = 20
SOURCES = {"java": ".java", "kotlin": ".kt", "groovy": ".groovy", "scala": ".scala"}
DECLARED = re.compile(r"^\s*(?:[a-z]+\s+)*(?:class|object|interface)\s+(\w+)", re.MULTILINE)
PACKAGE = re.compile(r"^\s*package\s+([\w.]+)", re.MULTILINE)


def survey(root: Path, descriptor: str) -> Project:
    """What is known beside *descriptor*, a file of the project in *root*."""
    module = _module(root, descriptor)
    pom = read_pom(module)
    resources = module / "src/main/resources"
    names = sorted(_names(resources)) if resources.is_dir() else None
    classes, packages = _classes(module)
    labels = None
    if names is not None:
        labels = {
            each.removesuffix(".properties").replace("/", "."): property_names(
                start_of(resources / each)
            )
            for each in names
            if each.endswith(".properties")
        }
    return Project(
        labels=labels,
        classes=classes,
        packages=packages,
        resources=frozenset(names) if names is not None else None,
        properties=pom.properties if pom else {},
        transformerless=pom.transformerless if pom else False,
        scanned=pom.scanned if pom else False,
    )


def read_pom(module: Path) -> "maven.Pom | None":
    """The pom.xml of a module with those parents that are on disk, inside the repository."""
    if not (module / "pom.xml").is_file():
        return None
    from devserver.descriptor import maven  # 10 ms, for P2 projects alone

    top = _top(module)
    name = (PurePosixPath(module.relative_to(top).as_posix()) / maven.POM).as_posix()
    files: dict[str, bytes] = {}
    wanted = name
    pom = None
    for _ in range(MAX_POMS):
        file = top / wanted
        if wanted in files or not _inside(file, top):
            break
        files[wanted] = start_of(file)
        pom = maven.read(files, name)
        if pom is None or not pom.absent:
            break
        wanted = pom.absent[0]
    return pom


def _module(root: Path, descriptor: str) -> Path:
    """The folder that has the sources of the descriptor: above src/main/resources, else its own."""
    folder = (root / descriptor).parent
    for each in (folder, *folder.parents):
        if each.name == "resources" and each.parent.name in ("main", "test"):
            return each.parent.parent.parent
        if each == root:
            break
    return folder


def _top(module: Path) -> Path:
    for folder in (module, *module.parents):
        if (folder / ".git").exists():
            return folder
    return module


def _inside(file: Path, top: Path) -> bool:
    """A regular file inside the repository, links resolved."""
    try:
        return file.is_file() and file.resolve().is_relative_to(top.resolve())
    except OSError:
        return False


def start_of(file: Path, limit: int = MAX_BYTES) -> bytes:
    """The start of a regular file; nothing where it cannot be read, since it only helps.

    A pipe is not waited for.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(handle, "rb") as stream:  # noqa: PTH123 -- by its handle
            return stream.read(limit) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    except OSError:
        return b""


def _names(folder: Path) -> Iterator[str]:
    """The regular files below *folder*, relative to it, with `/`."""
    count = 0
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for each in sorted(files):
            path = Path(where) / each
            if path.is_symlink():
                continue
            count += 1
            if count > MAX_FILES:
                return
            yield path.relative_to(folder).as_posix()


def _classes(module: Path) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The classes of a module's sources and of target/classes; None where there are no sources."""
    classes: set[str] = set()
    packages: set[str] = set()
    there = False
    for language, suffix in SOURCES.items():
        folder = module / "src/main" / language
        if not folder.is_dir():
            continue
        there = True
        for name in _names(folder):
            if not name.endswith(suffix):
                continue
            if suffix == ".java":
                found = {name.removesuffix(suffix).replace("/", ".")}
            else:
                found = _declared(start_of(folder / name).decode("utf-8", "replace"))
            classes |= found
            packages |= {each.rpartition(".")[0] for each in found}
    compiled = module / "target/classes"
    if there and compiled.is_dir():
        classes |= {
            each.removesuffix(".class").replace("/", ".")
            for each in _names(compiled)
            if each.endswith(".class")
        }
    return (frozenset(classes) if there else None), frozenset(packages)


def _declared(source: str) -> set[str]:
    """The classes of a file that may have several, in whatever package it says."""
    package = PACKAGE.search(source)
    prefix = f"{package[1]}." if package else ""
    return {prefix + each for each in DECLARED.findall(source)}

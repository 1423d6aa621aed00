"""The files of src/main/resources that go into the JAR beside the descriptor.

There may be thousands, so a look only asks when each was changed; it is read once, and compared
with what the build made of it once, for as long as both are the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from devserver.datacenter import files
from devserver.datacenter.build import Jar, content
from devserver.datacenter.files import File
from devserver.descriptor import filtered
from devserver.descriptor.archive import Unfit
from devserver.descriptor.filtered import How
from devserver.descriptor.jar import DESCRIPTOR

SCANNED = "META-INF/plugin-descriptors/"
LARGEST = 1024 * 1024
"""Bytes of a file that goes along."""


class Resources:
    """Translations and scanned descriptors below *folder*; with *everything* all the rest, too."""

    def __init__(self, folder: Path, *, everything: bool) -> None:
        self.folder = folder
        self._everything = everything
        self._basis: tuple[File, Mapping[str, str]] | None = None
        """The JAR and the properties that the rest was found out with."""
        self._known: dict[str, tuple[str, Mapping[str, bytes] | str]] = {}
        """Of each file its stamp, and what takes whose place in the JAR, or why nothing does."""
        self._hows: dict[str, How] = {}
        """What the build did with each file, seen while that was unchanged."""

    def files(self) -> Iterator[File]:
        """Each by its name in the JAR."""
        return (each for each in files.below(self.folder, self._goes) if each.size <= LARGEST)

    def entries(self) -> Iterator[str]:
        """Their names in the JAR, and those of what the build may have made of them."""
        for each in self.files():
            yield each.name
            yield from filtered.twins(each.name)

    def against(
        self, jar: Jar, properties: Mapping[str, str]
    ) -> tuple[dict[str, bytes], dict[str, str]]:
        """What differs from *jar*, by entry; and by name the files that cannot go, and why."""
        if self._basis is None or self._basis[0] != jar.file:
            self._hows.clear()
        if self._basis != (jar.file, properties):
            self._known.clear()
            self._basis = (jar.file, properties)
        there = list(self.files())
        stamps = {name: stamp for name, (stamp, _) in self._known.items()}
        fresh = [each for each in there if stamps.get(each.name) != each.stamp]
        jar.unpack(name for each in fresh for name in (each.name, *filtered.twins(each.name)))
        kept: dict[str, str] = {}
        for each in fresh:
            self._known.pop(each.name, None)
            source = content(each)
            if isinstance(source, Unfit):  # which may end without a change of it
                kept[each.name] = f"{source.reason}: the JAR keeps what it has"
            else:
                found = self._one(each.name, source, jar, properties)
                self._known[each.name] = (each.stamp, found)
        replaced: dict[str, bytes] = {}
        for each in there:
            _, found = self._known.get(each.name, ("", {}))
            if isinstance(found, str):
                kept[each.name] = found
            else:
                replaced |= found
        return replaced, kept

    def _goes(self, name: str) -> bool:
        if name.removesuffix(".j2") == DESCRIPTOR:
            return False
        scanned = name.startswith(SCANNED) and name.endswith(".xml")
        return self._everything or scanned or name.endswith(".properties")

    def _one(
        self, entry: str, source: bytes, jar: Jar, properties: Mapping[str, str]
    ) -> Mapping[str, bytes] | str:
        if entry not in jar.names:
            return {entry: source}
        if (old := jar.entries[entry]) is None:
            return "it is too large in the JAR to be compared: it stays as it is there"
        if (how := filtered.how(source, old, properties)) is not None:
            self._hows[entry] = how
            return {}
        how = self._hows.get(entry) or filtered.likely(entry, source, old, properties)
        if how is None:
            return "the build made something else of it: it stays as it is in the JAR"
        made = filtered.made(source, how, properties)
        return dict.fromkeys(
            (entry, *(each for each in filtered.twins(entry) if each in jar.names)), made
        )

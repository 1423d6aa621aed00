"""Revisions by digest: what is served now, and what was handed to targets before.

Adding a revision is one assignment, so a reader sees one revision or the other, never half.
"""

import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from devserver.model import CallbackSpec, Descriptor, Revision

KEPT = 50
"""How many revisions stay fetchable by their digest."""


class Published:
    """The last good revisions of this project, newest first."""

    def __init__(self, public_url: str | None = None) -> None:
        """*public_url* is where others reach us, if not at our own address."""
        self._public_path = urlsplit(public_url or "").path.rstrip("/")
        self._kept: deque[Revision] = deque(maxlen=KEPT)
        self._held: dict[str, Descriptor] = {}
        self._callbacks: dict[str, dict[CallbackSpec, None]] = {}
        self._keys: set[str] = set()

    @property
    def newest(self) -> Revision | None:
        return self._kept[0] if self._kept else None

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """Those that are kept, newest first."""
        return tuple(self._kept)

    def add(self, revision: Revision) -> None:
        """Make *revision* the newest; its callback paths are ours from now on."""
        for descriptor in revision.descriptors.values():
            self._keys.add(descriptor.key)
            for spec in descriptor.callbacks:
                path = callback_path(descriptor, spec)
                # What stands at a public URL with a path takes that away on the way to us.
                for each in {path, path.removeprefix(f"{self._public_path}/")}:
                    known = self._callbacks.setdefault(routed(each), {})
                    known.pop(spec, None)
                    known[spec] = None
        self._kept.appendleft(revision)

    @property
    def keys(self) -> frozenset[str]:
        """Of the apps that this or an earlier revision declared."""
        return frozenset(self._keys)

    def hold(self, target: str, digest: str) -> None:
        """Keep what *target* is being told to fetch, however many revisions come before it does."""
        found = self.lookup(target, digest)
        if found is not None:
            self._held[target] = found

    def lookup(self, target: str | None = None, rev: str | None = None) -> Descriptor | None:
        """The descriptor for *target* with the digest *rev*.

        Without a target the first one's; without a digest the newest. None where there is no
        such target, or the digest is not kept any more.
        """
        for revision in self._kept:
            candidates = list(revision.descriptors.values())
            if target is not None:
                candidates = (
                    [revision.descriptors[target]] if target in revision.descriptors else []
                )
            elif rev is None:
                candidates = [revision.first]
            for descriptor in candidates:
                if rev is None or descriptor.digest == rev:
                    return descriptor
            if rev is None:
                return None
        held = self._held.get(target) if target is not None else None
        return held if held is not None and held.digest == rev else None

    def callbacks(self, path: str) -> tuple[CallbackSpec, ...]:
        """The callbacks that this or an earlier revision declared at *path*, newest first.

        Targets may have different ones at the same path. Any way of writing it counts that the
        app's router may take for the same: a forged call must not get by for a slash more.
        """
        return tuple(reversed(self._callbacks.get(routed(path), ())))


ARTIFACTS = "/_upm-dev/artifacts/"


class Artifacts:
    """Files that a target may fetch while it installs them, each at an address nobody can guess."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._taken: set[str] = set()

    @contextmanager
    def offered(self, name: str, data: bytes) -> Iterator[str]:
        """The path at which *data* can be fetched while the block runs."""
        path = f"{ARTIFACTS}{secrets.token_urlsafe(24)}/{name}"
        self._files[path] = data
        try:
            yield path
        finally:
            del self._files[path]
            self._taken.discard(path)

    def take(self, path: str) -> bytes | None:
        """What is offered at *path*, for somebody who asks for it."""
        data = self._files.get(path)
        if data is not None:
            self._taken.add(path)
        return data

    def is_taken(self, path: str) -> bool:
        """Whether somebody has asked for what is still offered at *path*."""
        return path in self._taken


def callback_path(descriptor: Descriptor, spec: CallbackSpec) -> str:
    """Where the host will call: the path of the base URL, then the declared one, no query."""
    base = urlsplit(descriptor.base_url or "").path.rstrip("/")
    return base + urlsplit(spec.path).path


def routed(path: str) -> str:
    """*path* as the most lenient router reads it.

    Express ignores case and a slash at the end, servlets what follows a semicolon, many a server
    resolves dots and doubled slashes; some take a backslash for a slash, end at a NUL, or trim.
    """
    written = unquote(path).partition("\0")[0].replace("\\", "/").casefold()
    seen = "".join(each for each in written if each.isprintable())
    segments = (each.partition(";")[0].strip() for each in seen.split("/"))
    return "/" + normpath("/".join(("", *segments))).lstrip("/")

"""Whose app it is on a target: nothing of anybody else's is overwritten, nothing of ours is left.

An app is ours when the journal says that we installed it. What is not ours, what is on a machine
that is not this one, and what would change its key is touched only with the user's permission.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from devserver.addresses import is_this_machine
from devserver.errors import TargetError, TargetRefused
from devserver.model import Descriptor, Target
from devserver.upm.answers import Plugin
from devserver.upm.client import Upm
from devserver.upm.journal import Entry, Journal, JournalBroken
from devserver.upm.permission import Permission, is_far, not_agreed


class Ownership:
    """What we have on *target*. *warn* is told, once, when the journal cannot be written.

    *adopts*: on this machine, an app of our key is ours, whoever installed it; what the product
    itself brings is never taken away, though.
    """

    def __init__(
        self,
        target: Target,
        upm: Upm,
        *,
        journal: Journal | None = None,
        permissions: Iterable[Permission] = (),
        adopts: bool = False,
        warn: Callable[[str, str, str], None],
    ) -> None:
        self.wanted: Permission | None = None
        """What the last claim was refused for want of."""
        self._foreign: Plugin | None = None
        """What somebody else put in our place."""
        self._target = target
        self._upm = upm
        self._journal = journal
        self._permissions = set(permissions)
        self._warn = warn
        self._keys: list[str] = []
        self._landed: set[str] = set()
        self._earlier: dict[str, Entry] = {}
        """What the journal had of our keys before this run."""
        self._adopts = adopts
        self._shipped: set[str] = set()
        if is_far(target) and Permission.INSTALL not in self._permissions:
            upm.wire.barred = not_agreed(target)

    @property
    def keys(self) -> tuple[str, ...]:
        """What we may have installed there and have not taken away, oldest first."""
        return tuple(self._keys)

    def allow(self, permission: Permission) -> None:
        """The user agrees; for the rest of this run."""
        self._permissions.add(permission)
        self.wanted = None
        if permission is Permission.INSTALL:
            self._upm.wire.barred = None
        if permission is Permission.TAKE_OVER:
            self._foreign = None

    def yield_to(self, foreign: Plugin) -> None:
        """Leave *foreign* where our app was, until the user says otherwise."""
        self._foreign = foreign
        self.wanted = Permission.TAKE_OVER

    def consent(self) -> None:
        """Make sure that the user agrees to anything being sent there; to be called first.

        Raises TargetRefused: until then the wire itself sends nothing.
        """
        self.wanted = None
        if self._upm.wire.barred is not None:
            self.wanted = Permission.INSTALL
            raise self._upm.wire.barred.with_traceback(None)

    async def claim(self, descriptor: Descriptor) -> None:
        """Make sure that *descriptor* may be installed, and note that it will be.

        `disclaim` undoes this when nothing came of it. Raises TargetRefused where the user has to
        agree first.
        """
        key = descriptor.key
        self.wanted = None
        if self._foreign is not None and Permission.TAKE_OVER not in self._permissions:
            raise self._not_ours(self._foreign)
        if key in self._keys:
            return
        if self._keys and Permission.KEY_CHANGE not in self._permissions:
            self.wanted = Permission.KEY_CHANGE
            raise TargetRefused(
                f"the key changed from {self._keys[-1]} to {key}: for a host that is another app",
                remedy="write the old key again, or press y (--allow-key-change): the new one is "
                "installed, then the old one removed",
                code="KEY-CHANGED",
            )
        if (entry := self._entry(key)) is not None:
            self._earlier[key] = entry
        known = Permission.TAKE_OVER in self._permissions or entry is not None
        if self._adopts or not known:
            there = await self._upm.plugin(key)
            near = self._adopts and is_this_machine(self._target.url)
            if there is not None and not known and not near:
                raise self._not_ours(there)
            if there is not None and not there.user_installed:
                self._shipped.add(key)
        if entry is not None and entry.is_orphan:
            left = f"{key} was left on {self._target.name} by a run that began {entry.began}"
            self._warn(f"{left}: this one goes on with it", "", "")
        self._note(descriptor)
        self._keys.append(key)

    def landed(self, key: str) -> None:
        """The target has, or may have, taken an installation of *key*."""
        self._landed.add(key)

    def disclaim(self, key: str) -> None:
        """Forget *key* where the target has taken nothing of it so far."""
        if key in self._keys and key not in self._landed:
            self._keys.remove(key)
            if (earlier := self._earlier.get(key)) is None:
                self._forget(key)
            elif earlier.kept:  # what an earlier run left there is there still
                self._note_kept(key)

    async def release(self, key: str) -> bool:
        """Take the app away, whether there was one; what came with the product stays."""
        was_there = False
        if key in self._shipped:
            self._warn(f"{key} belongs to {self._target.name} itself: it is left there", "", "")
        else:
            was_there = await self._upm.plugin(key) is not None
            await self._upm.uninstall(key)
        self._drop(key)
        return was_there

    async def keep(self, key: str) -> None:
        """Leave the app there: on purpose, so it is no orphan. What is not there is forgotten."""
        if not await self._may_be_there(key):
            self._drop(key)
            return
        self._note_kept(key)

    async def _may_be_there(self, key: str) -> bool:
        """Whether the target lists it, or does not say."""
        try:
            return await self._upm.plugin(key) is not None
        except TargetError:
            return True

    def _drop(self, key: str) -> None:
        self._keys.remove(key)
        self._landed.discard(key)
        self._forget(key)

    def _not_ours(self, there: Plugin) -> TargetRefused:
        self.wanted = Permission.TAKE_OVER
        what = " ".join(filter(None, (there.key, there.version)))
        whose = f" of {there.vendor}" if there.vendor else ""
        return TargetRefused(
            f"{what}{whose} is installed on {self._target.name}, and not by upm-dev",
            remedy="press y (--take-over) to replace it; or give the target a key of its own: "
            f'[targets.{self._target.name}] variables = {{ key_suffix = "-dev" }}',
            code="NOT-OURS",
        )

    def _entry(self, key: str) -> Entry | None:
        """What an earlier run noted of *key*."""
        with self._journal_at_hand() as journal:
            return journal.entry(self._target.url, key) if journal else None
        return None  # the journal turned out to be broken

    def _note(self, descriptor: Descriptor) -> None:
        target = self._target
        with self._journal_at_hand() as journal:
            if journal:
                journal.note(target.name, target.url, descriptor.key, descriptor.anywhere)

    def _note_kept(self, key: str) -> None:
        with self._journal_at_hand() as journal:
            if journal:
                journal.keep(self._target.url, key)

    def _forget(self, key: str) -> None:
        with self._journal_at_hand() as journal:
            if journal:
                journal.gone(self._target.url, key)

    @contextmanager
    def _journal_at_hand(self) -> Iterator[Journal | None]:
        """The journal; one that turns out to be broken is said to be, and not used again."""
        try:
            yield self._journal
        except JournalBroken as error:
            self._journal = None
            self._warn(error.reason, error.remedy, error.code)

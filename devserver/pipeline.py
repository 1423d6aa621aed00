"""The one loop: look, render, check, publish, hand on.

A look that finds the same content as the one before ends there. One that passes is handed on at
once, with no debounce. One that fails, or finds a file that is being written, waits for the files
to settle first, so that an editor which truncates and then writes is neither an error nor a second
registration.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from devserver.descriptor.diff import diff, impact
from devserver.descriptor.document import Point
from devserver.descriptor.examine import Examined
from devserver.descriptor.judge import Placer
from devserver.events import (
    Bus,
    Changed,
    Checked,
    Event,
    Notice,
    Published,
    Rendered,
    TargetChanged,
    Withheld,
)
from devserver.model import Descriptor, Diagnostic, Revision, Severity, digest_of
from devserver.publish import Published as Kept
from devserver.reading import Shown, Variables, read, texts
from devserver.sources import Snapshot, Sources
from devserver.watch import looks

QUIET_SECONDS = 0.075
"""How long files must stay as they are before a failing look is believed."""
SETTLE_STEP = 0.01
SETTLE_LIMIT = 2.0
"""Files that are never quiet, or a stale index.lock of git, are not waited for any longer."""
OUT_SECONDS = 0.1
"""Within which an install request of this look is out, or waits for what is not ours to hurry."""


class Mailbox(Protocol):
    """What the pipeline knows of a registrar."""

    def offer(self, revision: Revision, seen_at: float) -> None:
        """Take *revision* as the newest; *seen_at* is the `time.monotonic()` of the look."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look led to. `examined` has an entry for each target, in their order."""

    snapshot: Snapshot
    examined: Mapping[str, Examined]
    errors: tuple[Diagnostic, ...]
    render_ms: float

    @property
    def rendered(self) -> str | None:
        """The digest of what the first target's rendering holds, where there is one."""
        first = next(iter(self.examined.values()), None)
        if first is None or first.text is None:
            return None
        return first.descriptor.digest if first.descriptor else digest_of(first.text.encode())

    @property
    def descriptors(self) -> dict[str, Descriptor]:
        return {name: each.descriptor for name, each in self.examined.items() if each.descriptor}

    def warnings(self) -> tuple[Diagnostic, ...]:
        return _distinct(
            diagnostic for each in self.examined.values() for diagnostic in each.warnings()
        )


class Pipeline:
    """Brings each new content of the project's files to the registrars."""

    def __init__(
        self,
        sources: Sources,
        variables: Mapping[str, Variables],
        *,
        published: Kept,
        registrars: Sequence[Mailbox],
        bus: Bus,
        url: str,
        poll: bool = False,
    ) -> None:
        self._sources = sources
        self._variables = variables
        self._published = published
        self._registrars = registrars
        self._bus = bus
        self._url = url
        self._poll = poll
        self._seen: Snapshot | None = None
        self._good: Outcome | None = None
        self._awaited = ""

    @property
    def texts(self) -> dict[str, str]:
        """The files of the newest look, as text, for code frames."""
        return texts(self._seen.files) if self._seen else {}

    @property
    def shown(self) -> Shown | None:
        """The newest good descriptor of the first target, with its sources."""
        first = next(iter(self._good.examined.values()), None) if self._good else None
        if self._good is None or first is None or first.text is None or first.descriptor is None:
            return None
        placer = first.placer or Placer(self._good.snapshot.descriptor)
        return Shown(
            digest=first.descriptor.digest,
            text=first.text,
            files=texts(self._good.snapshot.files),
            place=lambda line, column: placer.position(Point(line, column)),
        )

    async def run(self) -> None:
        """Look again and again; never returns but by cancellation."""
        async for _ in looks(lambda: self._sources.folders, poll=self._poll):
            await self.look()

    async def look(self) -> None:
        """Take one look, and follow it through if it finds anything new."""
        seen_at = time.monotonic()
        snapshot = self._sources.look()
        if self._seen is not None and snapshot.digest == self._seen.digest:
            return
        outcome = self._outcome(snapshot)
        if outcome.errors or snapshot.unsettled:
            settled = await self._settled(outcome)
            if self._seen is not None and settled.snapshot.digest == self._seen.digest:
                return
            outcome = settled
        if outcome.errors and self._awaits(outcome.errors):
            return
        self._awaited = ""
        self._tell_changes(outcome.snapshot)
        self._seen = outcome.snapshot
        if outcome.errors:
            self._withhold(outcome)
        else:
            await self._hand_on(outcome, seen_at)

    def _awaits(self, errors: tuple[Diagnostic, ...]) -> bool:
        """Whether a build is just making what is wrong: it is looked at again, and said once."""
        along = self._sources.along
        awaited = along.awaited(errors) if along is not None else ""
        if awaited and awaited != self._awaited:
            self._bus.publish(Notice(severity=Severity.INFO, message=awaited))
        self._awaited = awaited
        return bool(awaited)

    async def _settled(self, outcome: Outcome) -> Outcome:
        """Look on until the files pass, or have been quiet for long enough to believe them."""
        started = quiet_since = time.monotonic()
        while True:
            await asyncio.sleep(SETTLE_STEP)
            now = time.monotonic()
            snapshot = self._sources.look()
            if snapshot.digest != outcome.snapshot.digest:
                quiet_since = now
                outcome = self._outcome(snapshot)
            if not outcome.errors and not snapshot.unsettled:
                return outcome
            waited = now - started
            if waited >= SETTLE_LIMIT:
                return outcome
            if now - quiet_since >= QUIET_SECONDS and not snapshot.unsettled:
                return outcome

    def _outcome(self, snapshot: Snapshot) -> Outcome:
        """Render and check for every target; targets that come out alike share the work."""
        started = time.perf_counter()
        examined: dict[str, Examined] = {}
        errors: list[Diagnostic] = []
        for target, variables in self._variables.items():
            reading = read(self._sources, snapshot, variables)
            snapshot = reading.snapshot
            errors += reading.errors
            if reading.examined is None:
                break
            examined[target] = reading.examined
        ms = (time.perf_counter() - started) * 1000
        return Outcome(snapshot, examined, _distinct(errors), ms)

    def _tell_changes(self, snapshot: Snapshot) -> None:
        if self._seen is None:
            return
        before: dict[str, bytes | str] = {**self._seen.stamps, **self._seen.files}
        after: dict[str, bytes | str] = {**snapshot.stamps, **snapshot.files}
        # What is not asked for any more, since the file that named it is gone, has not changed.
        known = after.keys() | (before.keys() & snapshot.missing) | self._seen.stamps.keys()
        paths = tuple(sorted(name for name in known if before.get(name) != after.get(name)))
        self._bus.publish(Changed(paths=paths or (snapshot.descriptor,)))

    def _withhold(self, outcome: Outcome) -> None:
        """Say what is wrong; what was served and registered stays so."""
        newest = self._published.newest
        revision = None
        if digest := outcome.rendered:
            revision = self._next_name()
            self._bus.publish(Rendered(revision=revision, digest=digest, ms=outcome.render_ms))
        self._tell_checked(revision, outcome.errors + outcome.warnings())
        self._bus.publish(Withheld(serving=newest.name if newest else None))

    async def _hand_on(self, outcome: Outcome, seen_at: float) -> None:
        self._good = outcome
        newest = self._published.newest
        descriptors = outcome.descriptors
        if newest is not None and _digests(newest.descriptors) == _digests(descriptors):
            revision = newest
        else:
            revision = Revision(newest.number + 1 if newest else 1, descriptors)
        if revision is not newest:
            self._published.add(revision)
        # First of all: the request is written in the event loop's next pass.
        for registrar in self._registrars:
            registrar.offer(revision, seen_at)
        self._bus.publish(
            Rendered(revision=revision.name, digest=revision.digest, ms=outcome.render_ms)
        )
        self._tell_checked(revision.name, ())
        if revision is not newest:
            self._bus.publish(
                Published(
                    revision=revision.name,
                    digest=revision.digest,
                    url=self._url,
                    diff=diff(newest.first if newest else None, revision.first),
                    impact=impact(newest.first, revision.first).value if newest else None,
                )
            )
        # The rest of the rules, and a second rendering to place what they find: not before an
        # install is on its way.
        await self._bus.until(lambda event: _is_out(event, revision), OUT_SECONDS)
        if warnings := outcome.warnings():
            self._tell_checked(revision.name, warnings)

    def _next_name(self) -> str:
        newest = self._published.newest
        return f"r{newest.number + 1 if newest else 1}"

    def _tell_checked(self, revision: str | None, diagnostics: tuple[Diagnostic, ...]) -> None:
        self._bus.publish(
            Checked(
                revision=revision,
                errors=sum(each.severity is Severity.ERROR for each in diagnostics),
                warnings=sum(each.severity is Severity.WARNING for each in diagnostics),
                diagnostics=diagnostics,
            )
        )


def _is_out(event: Event, revision: Revision) -> bool:
    """Whether a target has answered the request to install *revision*, or is sent none."""
    return isinstance(event, TargetChanged) and event.revision == revision.name and event.is_out


def _digests(descriptors: Mapping[str, Descriptor]) -> dict[str, str]:
    return {name: descriptor.digest for name, descriptor in descriptors.items()}


def _distinct(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, in the order they came: several targets share most of their mistakes."""
    return tuple(dict.fromkeys(diagnostics))

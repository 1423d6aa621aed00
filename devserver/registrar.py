"""Bring one target to the newest revision: latest wins, back off, confirm; take it away at the end.

One `Registrar` per target, one coroutine each, so that installs on a target never overlap and
targets never wait for one another. Facts (the target's GET, its callback) arrive through the Bus
and are a reason to look at once. How a revision gets in, and what proves it, is its `Delivery`'s.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devserver import interfaces
from devserver.errors import (
    CredentialsRejected,
    NotConfirmed,
    TargetError,
    TargetRefused,
    TargetUnavailable,
)
from devserver.events import Bus
from devserver.model import Descriptor, Proof, Revision, Target, TargetState
from devserver.upm import blame
from devserver.upm.answers import Failed, Forgotten, Installed
from devserver.upm.attention import Attention
from devserver.upm.client import Upm
from devserver.upm.delivery import ByUri, Delivery, RestartNeeded
from devserver.upm.drift import Watchman
from devserver.upm.journal import Journal
from devserver.upm.ownership import Ownership
from devserver.upm.pace import Limits, backoff
from devserver.upm.permission import Permission
from devserver.upm.progress import Progress
from devserver.upm.removal import Removal
from devserver.upm.underway import Underway
from devserver.upm.warm import WarmToken
from devserver.upm.where import Where
from devserver.upm.wire import AnswerLost

if TYPE_CHECKING:
    from devserver.credentials import Credentials

__all__ = ["ByUri", "Limits", "Permission", "Registrar", "Where"]


@dataclass(frozen=True, slots=True)
class _Offer:
    revision: Revision
    descriptor: Descriptor
    seen_at: float
    forced: bool = False
    """Register it even where it runs already."""


class Registrar:
    """Keeps *target* at the newest revision that was offered, by *delivery*."""

    def __init__(
        self,
        target: Target,
        upm: Upm,
        bus: Bus,
        *,
        delivery: Delivery,
        keep: bool = False,
        limits: Limits | None = None,
        journal: Journal | None = None,
        permissions: Iterable[Permission] = (),
    ) -> None:
        self.target = target
        self._delivery = delivery
        self._upm = upm
        self._bus = bus
        self._keep = keep
        self._limits = limits or Limits()
        self._progress = Progress(target, bus)
        self._warm = WarmToken(upm, self._limits)
        self._own = Ownership(
            target,
            upm,
            journal=journal,
            permissions=permissions,
            adopts=delivery.adopts,
            warn=self._progress.warn,
        )
        self._attention = Attention(self._progress)
        self._offer: _Offer | None = None
        self._taken: _Offer | None = None
        self._aside: asyncio.Task[None] | None = None
        self._number = 0
        self._posted_at = float("-inf")
        self._underway = Underway(upm, delivery, self._progress, self._limits)
        self._watchman = Watchman(upm, delivery, self._progress, self._warm, self._limits)
        self._removal = Removal(target, upm, self._own, self._underway, self._progress)
        self._there: Descriptor | None = None
        """What the target listed when the last installation had ended."""
        self._paused = False
        self._away = False
        """The user has sent us away from this target."""
        self._leaving = False
        self._runs: str | None = None
        """The canonical form that the target was last proved to run."""

    # -- asked from outside -----------------------------------------------------------------------

    @property
    def installed(self) -> tuple[str, ...]:
        """The keys that we put on the target and have not taken away."""
        return self._own.keys

    def offer(self, revision: Revision, seen_at: float) -> None:
        """Make *revision* the one to bring; *seen_at* is the `time.monotonic()` of the look."""
        self._take(_Offer(revision, revision.descriptors[self.target.name], seen_at))

    def again(self, *permissions: Permission) -> None:
        """Register the newest revision once more; the user asks, so even after a rejection.

        With *permissions*, the user agrees to what was withheld.
        """
        self._upm.insist()
        for each in permissions:
            self._own.allow(each)
        self._go_on()

    def _go_on(self) -> None:
        self._away = self._leaving = False
        if newest := self._offer or self._taken:
            self._take(replace(newest, seen_at=time.monotonic(), forced=True))

    def agree(self) -> bool:
        """Go on with what was withheld for want of a permission; False: nothing was."""
        if (wanted := self._own.wanted) is None:
            return False
        self.again(wanted)
        return True

    def renew(self, credentials: "Credentials") -> None:
        """Go on with other credentials than those that were rejected."""
        self._upm.credentials = credentials
        self._go_on()

    def has_rejected(self, credentials: "Credentials") -> bool:
        """Whether the target's origin has rejected these already, whoever they were sent for."""
        return self._upm.wire.restraint.rejected(credentials.header()) is not None

    @property
    def rejected(self) -> bool:
        """Whether nothing is sent any more because the target rejected our credentials."""
        return self._upm.rejected is not None

    def pause(self, paused: bool = True) -> None:
        """Let saves wait until the user resumes; what was asked for by hand goes on."""
        if self._paused and not paused and self._offer is not None:
            # What was saved meanwhile is new from now on: the pause is no part of its time.
            self._offer = replace(self._offer, seen_at=time.monotonic())
        self._paused = paused
        self._attention.call()

    def leave(self) -> None:
        """Take the app away and stay away, whatever changes, until `again`: the user asks."""
        self._away = self._leaving = True
        self._taken = self._offer or self._taken
        self._offer = None
        self._stir_up()

    def _take(self, offer: _Offer) -> None:
        if self._away:
            self._taken = offer
            return
        self._offer = offer
        self._stir_up()

    def _stir_up(self) -> None:
        self._attention.call()
        if self._aside is not None:
            self._aside.cancel()

    async def run(self) -> None:
        """Register what is offered, for ever; ends on cancellation alone."""
        async with asyncio.TaskGroup() as tasks:
            with self._bus.listening(self._attention.hear):
                self._warm.warm(tasks)
                while True:
                    await self._until_offered(tasks)
                    await self._until_quiet()
                    offer, self._offer = self._offer, None
                    if offer is not None:
                        self._taken = offer
                        await self._bring(offer, tasks)

    async def retire(
        self, silence: float = 1.0, *, patience: float | None = None
    ) -> tuple[str, ...]:
        """Await an install under way and take our app away, unless it is to be kept.

        To be called once `run` has ended. A target that leaves a request unanswered for *silence*
        seconds is given up; one that says that it installs is waited for, at most `limits.task`,
        and *patience* seconds in all. Returns the keys that stay installed.
        """
        await self._removal.at_exit(silence, patience=patience, keep=self._keep)
        return self._own.keys

    # -- one offer --------------------------------------------------------------------------------

    async def _bring(self, offer: _Offer, tasks: asyncio.TaskGroup) -> None:
        """Try until this offer is in, is refused, or a newer one is there."""
        delays = backoff(self._limits.first_retry, self._limits.last_retry)
        self._number = 0
        while True:
            self._number += 1
            try:
                await self._register(offer, tasks)
            except CredentialsRejected as error:
                self._progress.tell_error(TargetState.REJECTED, error)
            except TargetRefused as error:
                self._progress.tell_error(TargetState.REFUSED, error)
            except NotConfirmed as error:
                self._progress.tell_error(TargetState.UNCONFIRMED, error)
            except RestartNeeded as error:
                self._progress.tell_error(TargetState.RESTART_NEEDED, error)
            except TargetUnavailable as error:
                delay = max(next(delays), error.retry_after or 0.0)
                self._progress.tell_error(TargetState.UNAVAILABLE, error, retry_in=delay)
                await self._back_off(delay, fixed=error.retry_after is not None)
                if self._offer is None and not self._leaving:
                    continue
            return

    async def _back_off(self, delay: float, *, fixed: bool) -> None:
        """Wait *delay* seconds; a newer revision ends the wait, unless it is *fixed*."""
        end = time.monotonic() + delay
        while (left := end - time.monotonic()) > 0 and (fixed or self._offer is None):
            if self._leaving:
                return
            await self._attention.wait(left)

    async def _register(self, offer: _Offer, tasks: asyncio.TaskGroup) -> None:
        descriptor = offer.descriptor
        lost = self._underway.lost
        resumed = lost is not None and lost.digest == descriptor.digest
        if not resumed:
            by = self._delivery.rests_on(descriptor)
            name = offer.revision.name
            self._progress.begin(self._number, name, descriptor, offer.seen_at, by)
        if (rejected := self._upm.rejected) is not None:
            raise rejected.with_traceback(None)
        if self._runs == descriptor.canonical and not offer.forced:
            self._progress.tell(TargetState.CONFIRMED, by=Proof.UNCHANGED)
            return
        if self._underway.is_open:
            await self._underway.catch_up(resumed=resumed)
        if self._progress.now.accepted is None:
            await self._post(descriptor)
            if self._progress.now.accepted is None:
                return
        if self._underway.task is not None:
            await self._ended(await self._underway.follow(self._attention.news))
        self._there = descriptor
        self._warm.warm(tasks)
        await self._confirm()
        for old in [each for each in self._own.keys if each != descriptor.key]:
            await self._own.release(old)

    async def _post(self, descriptor: Descriptor) -> None:
        """Ask for the installation, unless there is a newer offer by then.

        What the target runs is unknown from here on.
        """
        self._own.consent()
        await self._warm.ready()
        await self._delivery.look(descriptor)
        await self._own.claim(descriptor)
        if (wait := self._posted_at + self._limits.gap - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        if self._offer is not None:
            self._own.disclaim(descriptor.key)
            return
        try:
            token = await self._warm.take()
            self._progress.tell(TargetState.REGISTERING)
            self._runs = self._there = None
            self._underway.lost = descriptor
            self._posted_at = time.monotonic()
            self._progress.note("posted")
            self._underway.task = await self._delivery.send(self._progress.now, token)
        except AnswerLost:
            self._own.landed(descriptor.key)
            raise
        except TargetError:
            self._underway.lost = None
            self._own.disclaim(descriptor.key)
            raise
        self._own.landed(descriptor.key)
        self._underway.lost = None
        self._progress.note("accepted")

    async def _ended(self, outcome: Installed | Failed | Forgotten) -> None:
        attempt = self._progress.now
        match outcome:
            case Forgotten():
                raise blame.forgotten(self.target.name)
            case Failed():
                error = self._upm.failure(outcome, self._delivery.source(attempt.descriptor))
                raise await self._delivery.refused(error, attempt)
            case Installed():
                try:
                    await self._delivery.accept(outcome.plugin, attempt)
                except NotConfirmed:
                    self._there = attempt.descriptor
                    self._progress.tell(TargetState.INSTALLED)
                    raise
                self._progress.note("installed")
                self._watchman.see(outcome.plugin)

    async def _confirm(self) -> None:
        """Wait for the callback; a newer offer ends the wait."""
        end = time.monotonic() + self._limits.confirm
        while self._progress.now.confirmed is None:
            if self._offer is not None or self._leaving:
                return
            left = end - time.monotonic()
            if left <= 0 or self._progress.now.unverifiable:
                found = await interfaces.found(self.target.url)
                raise blame.unconfirmed(self._progress.now, self._limits.confirm, found)
            await self._attention.wait(left)
        self._prove()

    def _prove(self) -> None:
        attempt = self._progress.now
        self._runs = attempt.descriptor.canonical
        if attempt.by is Proof.UPM and attempt.descriptor.confirming is not None:
            self._progress.warn(*blame.deaf(self.target.name, attempt.descriptor))

    # -- between offers ---------------------------------------------------------------------------

    async def _until_offered(self, tasks: asyncio.TaskGroup) -> None:
        """Wait for an offer; hear late callbacks, look for drift, renew the token while it is used.

        A look that an offer interrupts is given up: the save does not wait for it.
        """
        check_at = time.monotonic() + self._limits.check
        while self._offer is None:
            if self._leaving:
                await self._let_go()
            renew_at = float("inf")
            age = self._warm.age
            if age is not None and time.monotonic() - self._posted_at < self._limits.recent:
                renew_at = time.monotonic() + self._limits.token - age
            if await self._attention.wait(max(0.0, min(check_at, renew_at) - time.monotonic())):
                attempt = self._progress.begun
                if attempt and attempt.confirmed and self._runs is None and self._there:
                    self._prove()
                continue
            if renew_at <= check_at:
                self._warm.drop()
                self._warm.warm(tasks)
                continue
            check_at = time.monotonic() + self._limits.check
            if self._there is not None and not self.rejected:
                self._aside = tasks.create_task(self._look_for_drift(self._there))
                await asyncio.wait((self._aside,))
                self._aside = None

    async def _until_quiet(self) -> None:
        """Wait until nothing newer has come for as long as the delivery asks, and no pause is on.

        What the user asks for by hand goes at once.
        """
        while (offer := self._offer) is not None and not offer.forced:
            left = offer.seen_at + self._delivery.quiet - time.monotonic()
            if left <= 0 and not self._paused:
                return
            await self._attention.wait(None if self._paused else left)

    async def _let_go(self) -> None:
        """Take our app away, as the user asked."""
        self._leaving = False
        try:
            await self._warm.ready()
            await self._removal.at_once()
        except CredentialsRejected as error:
            self._progress.tell_error(TargetState.REJECTED, error)
            return
        except TargetError as error:
            said_no = isinstance(error, TargetRefused)
            state = TargetState.REFUSED if said_no else TargetState.UNAVAILABLE
            self._progress.tell_error(state, error)
            return
        self._runs = self._there = None
        self._progress.tell(TargetState.UNREGISTERED)

    async def _look_for_drift(self, there: Descriptor) -> None:
        """Ask whether the target still has what we put *there*, and bring it back if not."""
        if (drifted := await self._watchman.look(there)) is None:
            return
        self._runs = self._there = None
        if drifted.by is not None and not self._delivery.adopts:
            self._own.yield_to(drifted.by)
        else:
            self._go_on()

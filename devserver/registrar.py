"""Bring one target to the newest revision: latest wins, back off, confirm; take it away at the end.

One `Registrar` per target, one coroutine each, so that installs on a target never overlap and
targets never wait for one another. Facts (the target's GET, its callback) arrive through the Bus
and are a reason to look at once.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

from devserver.errors import (
    CredentialsRejected,
    NotConfirmed,
    TargetError,
    TargetRefused,
    TargetUnavailable,
)
from devserver.events import Bus, Event, Notice, TargetChanged
from devserver.model import Descriptor, Proof, Revision, Severity, Target, TargetState
from devserver.upm import blame
from devserver.upm.answers import Failed, Forgotten, Installed, Outcome, Plugin, Running, Task
from devserver.upm.attempt import Attempt
from devserver.upm.causes import Call, Trouble
from devserver.upm.client import Upm
from devserver.upm.pace import Limits, backoff, polls
from devserver.upm.warm import WarmToken
from devserver.upm.where import Where
from devserver.upm.wire import AnswerLost

__all__ = ["Limits", "Registrar", "Where"]


@dataclass(frozen=True, slots=True)
class _Offer:
    revision: Revision
    descriptor: Descriptor
    seen_at: float
    forced: bool = False
    """Register it even where it runs already."""


class Registrar:
    """Keeps *target* at the newest revision that was offered; *where* is how it reaches us."""

    def __init__(
        self,
        target: Target,
        upm: Upm,
        bus: Bus,
        *,
        where: Where,
        keep: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.target = target
        self._where = where
        self._upm = upm
        self._bus = bus
        self._keep = keep
        self._limits = limits or Limits()
        self._warm = WarmToken(upm, self._limits)
        self._stirred = asyncio.Event()
        self._offer: _Offer | None = None
        self._taken: _Offer | None = None
        self._attempt: Attempt | None = None
        self._told: tuple[TargetState, ...] = ()
        self._number = 0
        self._posted_at = 0.0
        self._task: Task | None = None
        self._lost: Descriptor | None = None
        """What was POSTed when no answer came: it may be on its way."""
        self._runs: str | None = None
        """The canonical form that the target was last proved to run."""
        self._keys: list[str] = []
        """What we may have installed there, oldest first."""

    # -- asked from outside -----------------------------------------------------------------------

    @property
    def installed(self) -> tuple[str, ...]:
        """The keys that we put on the target and have not taken away."""
        return tuple(self._keys)

    def offer(self, revision: Revision, seen_at: float) -> None:
        """Make *revision* the one to bring; *seen_at* is the `time.monotonic()` of the look."""
        self._offer = _Offer(revision, revision.descriptors[self.target.name], seen_at)
        self._stirred.set()

    def again(self) -> None:
        """Register the newest revision once more; the user asks, so even after a rejection."""
        self._warm.rejected = None
        if newest := self._offer or self._taken:
            self._offer = replace(newest, seen_at=time.monotonic(), forced=True)
            self._stirred.set()

    @property
    def posted(self) -> Descriptor | None:
        """What the target was last told to fetch: it has to stay fetchable for a while."""
        attempt = self._attempt
        return attempt.descriptor if attempt and attempt.posted is not None else None

    async def run(self) -> None:
        """Register what is offered, for ever; ends on cancellation alone."""
        async with asyncio.TaskGroup() as tasks:
            with self._bus.listening(self._hear):
                self._warm.warm(tasks)
                while True:
                    await self._until_offered(tasks)
                    offer, self._offer = self._offer, None
                    if offer is not None:
                        self._taken = offer
                        await self._bring(offer, tasks)

    async def retire(self, limit: float = 1.0) -> tuple[str, ...]:
        """Await an install under way and take our app away, unless it is to be kept.

        To be called once `run` has ended. Returns the keys that stay installed: those that *limit*
        seconds did not suffice for, or all where they are to be kept.
        """
        try:
            async with asyncio.timeout(limit):
                if self._lost is not None:
                    self._task = await self._running(self._lost) or self._task
                await self._settle()
                for key in () if self._keep else tuple(self._keys):
                    await self._upm.uninstall(key)
                    self._keys.remove(key)
                    self._tell(TargetState.UNREGISTERED)
        except TimeoutError:
            self._tell_left("it did not answer in time")
        except TargetError as error:
            self._tell_left(error.reason)
        return tuple(self._keys)

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
                self._warm.rejected = error
                self._tell_error(TargetState.REJECTED, error)
            except TargetRefused as error:
                self._tell_error(TargetState.REFUSED, error)
            except NotConfirmed as error:
                self._tell_error(TargetState.UNCONFIRMED, error)
            except TargetUnavailable as error:
                delay = max(next(delays), error.retry_after or 0.0)
                self._tell_error(TargetState.UNAVAILABLE, error, retry_in=delay)
                await self._back_off(delay, fixed=error.retry_after is not None)
                if self._offer is None:
                    continue
            return

    async def _register(self, offer: _Offer, tasks: asyncio.TaskGroup) -> None:
        descriptor = offer.descriptor
        resumed = self._lost is not None and self._lost.digest == descriptor.digest
        if not resumed:
            self._begin(offer)
        if self._warm.rejected is not None:
            raise self._warm.rejected
        if self._runs == descriptor.canonical and not offer.forced:
            self._tell(TargetState.CONFIRMED, by=Proof.UNCHANGED)
            return
        uri = self._where.descriptor(self.target.name, descriptor)
        if self._lost is not None or self._task is not None:
            await self._catch_up(resumed=resumed)
        if self._now().accepted is None:
            await self._post(descriptor, uri)
        if self._task is not None:
            await self._follow(self._task, uri)
        self._warm.warm(tasks)
        await self._confirm()
        await self._forget_old_keys(descriptor.key)

    def _begin(self, offer: _Offer) -> None:
        descriptor = offer.descriptor
        hears = descriptor.confirming is not None and self._where.is_ours(descriptor.base_url)
        self._told = ()
        self._attempt = Attempt(
            number=self._number,
            revision=offer.revision.name,
            descriptor=descriptor,
            since=offer.seen_at,
            by=Proof.CALLBACK if hears else Proof.UPM,
        )

    async def _post(self, descriptor: Descriptor, uri: str) -> None:
        """Ask for the installation; what the target runs is unknown from here on."""
        if (wait := self._posted_at + self._limits.gap - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        self._tell(TargetState.REGISTERING)
        token = await self._warm.take()
        self._runs = None
        self._lost = descriptor
        self._posted_at = time.monotonic()
        self._note(posted=self._posted_at)
        known = descriptor.key in self._keys
        if not known:
            self._keys.append(descriptor.key)
        try:
            self._task = await self._upm.install(uri, token, descriptor.name)
        except AnswerLost:
            raise
        except TargetError:
            self._lost = None
            if not known:
                self._keys.remove(descriptor.key)
            raise
        self._lost = None
        self._note(accepted=time.monotonic())

    async def _follow(self, task: Task, uri: str) -> None:
        """Poll until the task has ended well; raise why it has not."""
        end = time.monotonic() + self._limits.task
        delays = backoff(self._limits.first_retry, 2.0)
        delay = polls(False, 0, task.ping_after_ms)
        tries = 0
        outcome: Outcome = Running(task.ping_after_ms)
        while isinstance(outcome, Running):
            if time.monotonic() > end:
                self._task = None
                limit = f"{self._limits.task:g}"
                raise self._upm.trouble(Call.TASK, Trouble.TASK_LIMIT, limit=limit)
            tries = 0 if await self._news(delay) else tries + 1
            try:
                outcome = await self._upm.poll(task)
            except TargetUnavailable as error:
                delay = max(next(delays), error.retry_after or 0.0)
                self._tell_error(TargetState.UNAVAILABLE, error, retry_in=delay)
            else:
                if isinstance(outcome, Running):
                    delay = polls(self._now().fetched is not None, tries, outcome.ping_after_ms)
        self._task = None
        await self._ended(outcome, uri)

    async def _ended(self, outcome: Installed | Failed | Forgotten, uri: str) -> None:
        attempt = self._now()
        if isinstance(outcome, Failed):
            raise blame.refused(attempt, self._upm.failure(outcome, uri), uri)
        if isinstance(outcome, Installed):
            plugin: Plugin | None = outcome.plugin
        else:
            # A restart takes the tasks along, and with them perhaps the installation.
            plugin = await self._upm.plugin(attempt.descriptor.key)
        if plugin is None or (attempt.fetched is None and isinstance(outcome, Forgotten)):
            raise TargetUnavailable(
                f"{self.target.name} has forgotten the installation: it was restarted",
                remedy="it is registered again",
                code="TASK-FORGOTTEN",
            )
        self._check(plugin, attempt.descriptor, uri)
        self._note(installed=time.monotonic())

    def _check(self, plugin: Plugin, descriptor: Descriptor, uri: str) -> None:
        """Whether what is listed is what we sent; a restart that is due is not an error."""
        facts = {"key": descriptor.key, "version": descriptor.version or "", "uri": uri}
        if plugin.key != descriptor.key:
            raise self._upm.trouble(Call.TASK, Trouble.OTHER_KEY, listed=plugin.key, **facts)
        if descriptor.version and plugin.version and plugin.version != descriptor.version:
            raise self._upm.trouble(Call.TASK, Trouble.OLDER, listed=plugin.version, **facts)
        name = self.target.name
        if plugin.restart:
            reason = f"{name} will run it after a restart ({plugin.restart})"
            self._tell(TargetState.RESTART_NEEDED, reason=reason)
        elif not plugin.enabled:
            self._warn(
                f"{descriptor.key} is installed on {name} but disabled there",
                f"enable it at {self.target.url}/plugins/servlet/upm",
            )

    async def _confirm(self) -> None:
        """Wait for the callback; a newer offer ends the wait."""
        end = time.monotonic() + self._limits.confirm
        while self._now().confirmed is None:
            if self._offer is not None:
                return
            if (left := end - time.monotonic()) <= 0:
                raise blame.unconfirmed(self._now(), self._limits.confirm)
            await self._stir(left)
        self._prove()

    def _prove(self) -> None:
        descriptor = self._now().descriptor
        self._runs = descriptor.canonical
        if self._now().by is Proof.UPM and descriptor.confirming is not None:
            self._warn(
                f"callbacks of {self.target.name} go to {descriptor.base_url}, which is not "
                "upm-dev: they prove nothing here",
                "write {{ base_url }} in the descriptor",
            )

    async def _forget_old_keys(self, key: str) -> None:
        """Take away what we installed under a key that the descriptor had before."""
        for old in [each for each in self._keys if each != key]:
            await self._upm.uninstall(old)
            self._keys.remove(old)

    # -- what an earlier POST left behind ---------------------------------------------------------

    async def _catch_up(self, *, resumed: bool) -> None:
        """See what became of an installation that we lost sight of, before the next POST.

        Where it was of this very descriptor (*resumed*), it is gone on with: found running, or
        fetched and listed; otherwise its end is awaited, so that no two overlap.
        """
        if self._lost is not None:
            self._task = await self._running(self._lost) or self._task
        attempt, lost, self._lost = self._now(), self._lost, None
        if resumed and self._task is not None:
            self._note(accepted=time.monotonic())
        elif resumed and lost is not None and attempt.fetched is not None:
            plugin = await self._upm.plugin(lost.key)
            if plugin is not None and plugin.version in (lost.version, None):
                self._note(accepted=time.monotonic(), installed=time.monotonic())
        else:
            await self._settle()

    async def _running(self, descriptor: Descriptor) -> Task | None:
        """The task by which the target installs *descriptor* at this moment."""
        names = {descriptor.name, descriptor.file_name}
        return next((each for each in await self._upm.pending() if each.source in names), None)

    async def _settle(self) -> None:
        """Wait for the end of an install under way, whatever it is; at most `limits.task`."""
        end = time.monotonic() + self._limits.task
        while self._task is not None and time.monotonic() < end:
            outcome = await self._upm.poll(self._task)
            if not isinstance(outcome, Running):
                break
            await asyncio.sleep(polls(True, 9, outcome.ping_after_ms))
        self._task = None

    # -- waiting ----------------------------------------------------------------------------------

    async def _until_offered(self, tasks: asyncio.TaskGroup) -> None:
        """Wait for an offer; meanwhile hear late callbacks and renew the token while it is used."""
        while self._offer is None:
            age, renew = self._warm.age, None
            if age is not None and time.monotonic() - self._posted_at < self._limits.recent:
                renew = max(0.0, self._limits.token - age)
            if not await self._stir(renew):
                self._warm.drop()
                self._warm.warm(tasks)
            elif self._attempt and self._attempt.confirmed and self._runs is None:
                self._prove()

    async def _stir(self, limit: float | None) -> bool:
        """Wait at most *limit* seconds for an offer or a fact; False: there was none."""
        try:
            async with asyncio.timeout(limit):
                await self._stirred.wait()
        except TimeoutError:
            return False
        self._stirred.clear()
        self._tell_steps()
        return True

    async def _news(self, limit: float) -> bool:
        """Wait at most *limit* seconds for a fact about this attempt; False: there was none."""
        known, end = self._now(), time.monotonic() + limit
        while (left := end - time.monotonic()) > 0 and self._now() is known:
            await self._stir(left)
        return self._now() is not known

    async def _back_off(self, delay: float, *, fixed: bool) -> None:
        """Wait *delay* seconds; a newer revision ends the wait, unless it is *fixed*."""
        end = time.monotonic() + delay
        while (left := end - time.monotonic()) > 0 and (fixed or self._offer is None):
            await self._stir(left)

    # -- telling ----------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if self._attempt is not None:
            heard = self._attempt.heard(event, self.target.name, time.monotonic())
            if heard is not self._attempt:
                self._attempt = heard
                self._stirred.set()

    def _now(self) -> Attempt:
        assert self._attempt is not None
        return self._attempt

    def _note(self, **facts: float) -> None:
        self._attempt = replace(self._now(), **facts)  # type: ignore[arg-type]
        self._tell_steps()

    def _tell_steps(self) -> None:
        """Publish the states that the attempt has newly reached."""
        for state, at in self._attempt.steps if self._attempt else ():
            if state not in self._told:
                self._told += (state,)
                by = self._now().by if state is TargetState.CONFIRMED else None
                self._tell(state, at=at, by=by)

    def _tell_error(
        self, state: TargetState, error: TargetError, *, retry_in: float | None = None
    ) -> None:
        code, remedy = error.code or None, error.remedy or None
        self._tell(state, code=code, reason=error.reason, remedy=remedy, retry_in=retry_in)

    def _tell_left(self, why: str) -> None:
        for key in self._keys:
            message = f"{key} stays installed on {self.target.name}: {why}"
            self._warn(message, "upm-dev unregister --orphans takes it away")

    def _warn(self, message: str, remedy: str) -> None:
        severity, name = Severity.WARNING, self.target.name
        self._bus.publish(Notice(severity=severity, message=message, remedy=remedy, target=name))

    def _tell(self, state: TargetState, *, at: float | None = None, **more: Any) -> None:
        attempt = self._attempt
        self._bus.publish(
            TargetChanged(
                target=self.target.name,
                state=state,
                attempt=attempt.number if attempt else 0,
                revision=attempt.revision if attempt else None,
                digest=attempt.descriptor.digest if attempt else None,
                ms=attempt.ms(at or time.monotonic()) if attempt else None,
                **more,
            )
        )

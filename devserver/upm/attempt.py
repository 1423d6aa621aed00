"""One revision on one target: facts, recorded as they come, and the state that follows. Pure.

Facts come in any order (Connect hosts call back before their task ends), so a state is never set:
it is derived (DESIGN §3).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from devserver.events import CallbackReceived, Event, RequestServed
from devserver.model import Descriptor, Proof, TargetState, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is known. The times are `time.monotonic()`; None: it did not happen.

    `since` is when the change was first seen, `by` what a confirmation will rest on.
    """

    number: int
    revision: str
    descriptor: Descriptor
    since: float
    by: Proof
    posted: float | None = None
    accepted: float | None = None
    fetched: float | None = None
    installed: float | None = None
    called: float | None = None
    handed: datetime | None = None
    """When the target's GET was answered, by the wall clock that events carry."""
    doubted: str = ""
    """Why a callback that came did not count."""
    spoilt: bool = False
    """That one was the target's own, changed on its way: no stranger's is a better reason."""
    unverifiable: bool = False
    """Nor can it ever be told whose that callback was: no better one will come."""

    def heard(self, event: Event, target: str, now: float) -> Self:
        """This attempt, and what *event* says about it.

        A callback counts only when it is genuine, comes from this target, concerns this app, and
        came after the target had fetched this very digest from us.
        """
        match event:
            case RequestServed(method="GET", status=200) if (
                event.target == target
                and event.digest == self.descriptor.digest
                and self.posted is not None
                and self.fetched is None
            ):
                return replace(self, fetched=now, handed=event.time)
            case CallbackReceived() if self._awaits(event) and self.called is None:
                if event.verdict is not Verdict.GENUINE:
                    own = event.target == target
                    if self.spoilt and not own:
                        return self
                    # What is forged anybody may have sent: the host's own may still come.
                    hopeless = event.verdict is Verdict.UNVERIFIABLE and self.handed is not None
                    return replace(
                        self,
                        doubted=event.reason or event.verdict.value,
                        spoilt=own,
                        unverifiable=self.unverifiable or hopeless,
                    )
                # An app may take its time to answer: what counts is when the host called.
                if event.target == target and self.handed and event.time >= self.handed:
                    return replace(self, called=now)
        return self

    def _awaits(self, event: CallbackReceived) -> bool:
        expected = self.descriptor.confirming
        return (
            self.by is Proof.CALLBACK
            and expected is not None
            and event.event == expected.event
            and event.key in (None, self.descriptor.key)
        )

    @property
    def confirmed(self) -> float | None:
        """When everything that a confirmation needs had happened."""
        if self.installed is None or self.by is not Proof.CALLBACK:
            return self.installed
        return None if self.called is None else max(self.installed, self.called)

    @property
    def steps(self) -> tuple[tuple[TargetState, float], ...]:
        """The states reached so far, in their order, each with its time."""
        steps = (
            (TargetState.ACCEPTED, self.accepted),
            (TargetState.FETCHED, self.fetched if self.accepted is not None else None),
            (TargetState.INSTALLED, self.installed),
            (TargetState.CONFIRMED, self.confirmed),
        )
        return tuple((state, time) for state, time in steps if time is not None)

    def ms(self, now: float) -> int:
        """Milliseconds from the look that saw the change until *now*."""
        return max(0, round((now - self.since) * 1000))

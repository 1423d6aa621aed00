"""What one target's faces are told: every state an attempt reaches, once, in order."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from devserver.errors import TargetError
from devserver.events import Bus, Event, Notice, TargetChanged
from devserver.model import Descriptor, Proof, Severity, Target, TargetState
from devserver.upm.attempt import Attempt

_GOOD = (
    TargetState.INSTALLED,
    TargetState.CONFIRMED,
    TargetState.UNCONFIRMED,
    TargetState.RESTART_NEEDED,
)


class Progress:
    """The attempt under way on *target*, and what was told of it."""

    def __init__(self, target: Target, bus: Bus) -> None:
        self._target = target
        self._bus = bus
        self._attempt: Attempt | None = None
        self._told: tuple[TargetState, ...] = ()
        self._last: TargetChanged | None = None
        self._good: TargetChanged | None = None

    @property
    def begun(self) -> Attempt | None:
        """The attempt, where there is one yet."""
        return self._attempt

    @property
    def now(self) -> Attempt:
        """The attempt, once one has begun."""
        assert self._attempt is not None
        return self._attempt

    def begin(
        self, number: int, revision: str, descriptor: Descriptor, since: float, by: Proof
    ) -> None:
        self._told = ()
        self._attempt = Attempt(
            number=number, revision=revision, descriptor=descriptor, since=since, by=by
        )

    def hear(self, event: Event) -> bool:
        """Take in what *event* says of the attempt; whether it says anything.

        Nothing is told yet: this is called while the event itself is being published.
        """
        if self._attempt is None:
            return False
        heard = self._attempt.heard(event, self._target.name, time.monotonic())
        is_news = heard is not self._attempt
        self._attempt = heard
        return is_news

    def note(self, *facts: str) -> None:
        """Record that *facts* (fields of Attempt) happened now, and tell what follows."""
        at = time.monotonic()
        self._attempt = replace(self.now, **dict.fromkeys(facts, at))  # type: ignore[arg-type]
        self.tell_steps()

    def tell_steps(self) -> None:
        """Tell the states that the attempt has newly reached."""
        for state, at in self._attempt.steps if self._attempt else ():
            if state not in self._told:
                self._told += (state,)
                by = self.now.by if state is TargetState.CONFIRMED else None
                self.tell(state, at=at, by=by)

    def tell(self, state: TargetState, *, at: float | None = None, **more: Any) -> None:
        """Tell *state*; *at* is when it was reached (`time.monotonic()`), now where left out."""
        attempt = self._attempt
        self._last = TargetChanged(
            target=self._target.name,
            state=state,
            attempt=attempt.number if attempt else 0,
            revision=attempt.revision if attempt else None,
            digest=attempt.descriptor.digest if attempt else None,
            ms=attempt.ms(at or time.monotonic()) if attempt else None,
            **more,
        )
        if state in _GOOD:
            self._good = self._last
        self._bus.publish(self._last)

    def tell_error(
        self, state: TargetState, error: TargetError, *, retry_in: float | None = None
    ) -> None:
        code, remedy = error.code or None, error.remedy or None
        self.tell(state, code=code, reason=error.reason, remedy=remedy, retry_in=retry_in)

    def tell_back(self) -> None:
        """Tell the last good state again: the target was away, and is as it was."""
        if self._good is not None:
            self._last = replace(self._good, time=datetime.now(UTC))
            self._bus.publish(self._last)

    @property
    def last(self) -> TargetState | None:
        """The state that was told last."""
        return self._last.state if self._last else None

    def say(self, message: str) -> None:
        self._notice(Severity.INFO, message)

    def warn(self, message: str, remedy: str, code: str = "") -> None:
        self._notice(Severity.WARNING, message, remedy, code)

    def _notice(self, severity: Severity, message: str, remedy: str = "", code: str = "") -> None:
        self._bus.publish(
            Notice(
                severity=severity,
                message=message,
                remedy=remedy or None,
                target=self._target.name,
                code=code or None,
            )
        )

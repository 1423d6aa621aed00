"""How registrations end, and the exit code that follows when each target has ended its own way."""

from collections.abc import Iterable, Mapping

from devserver.errors import (
    WORST_FIRST,
    CredentialsRejected,
    NotConfirmed,
    TargetError,
    TargetRefused,
    TargetUnavailable,
)
from devserver.model import TargetState

ENDS: Mapping[TargetState, type[TargetError] | None] = {
    TargetState.CONFIRMED: None,
    TargetState.RESTART_NEEDED: None,
    TargetState.UNCONFIRMED: NotConfirmed,
    TargetState.REFUSED: TargetRefused,
    TargetState.REJECTED: CredentialsRejected,
}
"""The states that one attempt ends in, and what that is for a script; None: fine."""


class Endings:
    """What became of the targets so far; `code` is the exit code once all have ended."""

    def __init__(self, targets: Iterable[str]) -> None:
        self._ended: dict[str, type[TargetError] | None] = {}
        self._awaited = set(targets)
        self.is_invalid = False
        """The descriptor has errors: nothing is registered."""

    def note(self, target: str, state: TargetState) -> None:
        if state in ENDS:
            self._ended[target] = ENDS[state]
        else:
            self._ended.pop(target, None)

    @property
    def has_ended(self) -> bool:
        return self.is_invalid or self._awaited <= self._ended.keys()

    @property
    def code(self) -> int:
        """As things stand; a target that has not ended is unavailable."""
        if self.is_invalid:
            return 1
        found = {self._ended.get(each, TargetUnavailable) for each in self._awaited}
        return next((each.exit_code for each in WORST_FIRST if each in found), 0)


def worse(one: int, other: int) -> int:
    """The exit code of two runs that ended so; of targets the first of 5, 6, 4, 7 counts."""
    order = [each.exit_code for each in WORST_FIRST]
    return min(
        (each for each in (one, other) if each),
        key=lambda code: order.index(code) if code in order else -1,
        default=0,
    )

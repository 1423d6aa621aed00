"""Taking our app away from one target: at the end of a run, or because the user asks."""

import asyncio

from devserver.errors import TargetError
from devserver.model import Target, TargetState
from devserver.upm.client import Upm
from devserver.upm.ownership import Ownership
from devserver.upm.progress import Progress
from devserver.upm.underway import Underway


class Removal:
    """Leaves *target* as it was before us, or says what stays there and why."""

    def __init__(
        self, target: Target, upm: Upm, own: Ownership, underway: Underway, progress: Progress
    ) -> None:
        self._target = target
        self._upm = upm
        self._own = own
        self._underway = underway
        self._progress = progress

    async def at_once(self) -> None:
        """Await an install under way and take everything of ours away. Raises TargetError."""
        await self._underway.appear()
        await self._underway.settle()
        for key in self._own.keys:
            await self._own.release(key)

    async def at_exit(self, silence: float, *, patience: float | None, keep: bool) -> None:
        """Await an install under way and take everything of ours away, unless it is to be kept.

        A target that leaves a request unanswered for *silence* seconds is given up; one that says
        that it installs is waited for, at most `limits.task`, and *patience* seconds in all.
        """
        self._upm.wire.limit = min(self._upm.wire.limit, silence)
        try:
            async with asyncio.timeout(patience):
                await self._underway.appear()
                if not await self._underway.settle(self._say_waiting):
                    self._say_left("it is still installing it")
                    return
                for key in self._own.keys:
                    if keep:
                        await self._own.keep(key)
                    elif await self._own.release(key):
                        self._progress.tell(TargetState.UNREGISTERED)
        except TimeoutError:
            self._say_left("it did not answer in time")
        except TargetError as error:
            self._say_left(error.reason, error.code)

    def _say_waiting(self) -> None:
        name = self._target.name
        self._progress.say(
            f"{name} is still installing: waiting for it; Ctrl-C again leaves at once"
        )

    def _say_left(self, why: str, code: str = "") -> None:
        for key in self._own.keys:
            message = f"{key} stays installed on {self._target.name}: {why}"
            self._progress.warn(message, "upm-dev unregister --orphans takes it away", code)

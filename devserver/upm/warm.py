"""The next token, asked for before it is needed: one request then stands between a save and a POST.

A token is bound to the user, lives five minutes and serves one POST (upm-protocol.md §1).
"""

import asyncio
import time

from devserver.errors import TargetError
from devserver.upm.client import Upm
from devserver.upm.pace import Limits

MOMENT = 1.0
"""Seconds that a token is waited for, once the target has given one before."""


class WarmToken:
    """Keeps one token of *upm* at hand."""

    def __init__(self, upm: Upm, limits: Limits) -> None:
        self._upm = upm
        self._limits = limits
        self._token: tuple[str, float] | None = None
        self._proven = False
        self._asking: asyncio.Task[None] | None = None

    def warm(self, tasks: asyncio.TaskGroup) -> None:
        """Ask for a token in the background, unless there is one or it is being asked for."""
        asking = self._asking is not None and not self._asking.done()
        if self._upm.rejected is None and not asking and self.age is None:
            self._asking = tasks.create_task(self._ask(), name=f"token {self._upm.target.name}")

    @property
    def age(self) -> float | None:
        """Seconds since the token at hand was given; None where there is none."""
        return None if self._token is None else time.monotonic() - self._token[1]

    def drop(self) -> None:
        """Forget the token at hand: it is about to expire."""
        self._token = None

    async def ready(self) -> None:
        """Wait, a moment, for a token that is being asked for; raise what rejected us for good.

        To be awaited before other requests: a wrong password is then sent once, not twice. So a
        target that has not let us in yet is waited for until its answer is there.
        """
        if self._asking is not None and not self._asking.done():
            await asyncio.wait((self._asking,), timeout=MOMENT if self._proven else None)
            self._asking.cancel()
        if (error := self._upm.rejected) is not None:
            raise error.with_traceback(None)

    async def take(self) -> str:
        """A token for one POST; asked for by GET, which tells what is wrong, where none is warm."""
        await self.ready()
        age, token, self._token = self.age, self._token, None
        if token is not None and age is not None and age < self._limits.token:
            return token[0]
        return await self._upm.token()

    async def _ask(self) -> None:
        try:
            token = await self._upm.token(warm=True, limit=self._limits.side)
        except TargetError:
            # Whoever needs the token will ask by GET, and tell what is wrong.
            return
        else:
            self._token = (token, time.monotonic())
            self._proven = True

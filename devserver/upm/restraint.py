"""What an origin has told us to leave: a secret that it rejected, and any request for a while.

One for each origin and process, shared by all targets there: accounts are locked by how often a
wrong password comes, whichever target it was meant for; and a host that asks for peace
(`Retry-After`) means all of us.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devserver.errors import CredentialsRejected, TargetError, TargetUnavailable


class Restraint:
    """What may be sent to one origin just now."""

    def __init__(self) -> None:
        self._rejected: dict[str, CredentialsRejected] = {}
        self._proven: set[str] = set()
        self._trying: dict[str, asyncio.Lock] = {}
        self._until = float("-inf")
        self._asked: TargetUnavailable | None = None

    @asynccontextmanager
    async def trying(self, header: str) -> AsyncIterator[None]:
        """Send something with this `Authorization` in the block; the first answer is waited for.

        So that a wrong password goes out once, however many want to use it. Raises
        CredentialsRejected where it has been rejected. Without one there is nothing to wait for.
        """
        if not header or header in self._proven:
            yield
            return
        async with self._trying.setdefault(header, asyncio.Lock()):
            if (error := self.rejected(header)) is not None:
                raise error.with_traceback(None)
            yield

    def prove(self, header: str) -> None:
        """The origin has let us in with this `Authorization`."""
        self._proven.add(header)

    def rejected(self, header: str) -> CredentialsRejected | None:
        """Why nothing is sent with this `Authorization` any more, if so."""
        return self._rejected.get(header)

    def learn(self, header: str, error: TargetError) -> None:
        """Take in what the origin told us by refusing."""
        match error:
            case CredentialsRejected() if header:
                self._rejected[header] = error
                self._proven.discard(header)
            case TargetUnavailable(retry_after=float() as seconds) if seconds > 0:
                self._until = max(self._until, time.monotonic() + seconds)
                self._asked = error

    def insist(self, header: str) -> None:
        """The user wants the rejected secret tried once more."""
        self._rejected.pop(header, None)

    def keep_peace(self) -> None:
        """Raises TargetUnavailable while the time that the origin asked for is not over."""
        left = self._until - time.monotonic()
        if left > 0 and (asked := self._asked) is not None:
            raise TargetUnavailable(
                asked.reason, remedy=asked.remedy, code=asked.code, retry_after=left
            )

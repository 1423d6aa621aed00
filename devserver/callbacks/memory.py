"""What has to be remembered between calls: nonces that were used, secrets that were shared."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

KEPT_NONCES = 10_000
KEPT_SECRETS = 2
"""A host that did not like our answer goes on with the secret before."""


class Nonces:
    """Nonces seen within *window* seconds, bounded in number: each counts once (RFC 5849 §3.3)."""

    def __init__(self, window: float, clock: Callable[[], float] = time.time) -> None:
        self._window = window
        self._clock = clock
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def use(self, *nonce: str, grace: float = 0.0) -> bool:
        """Whether *nonce* is new; it is not from now on, or *grace* seconds from now."""
        now = self._clock()
        while self._seen and (
            len(self._seen) >= KEPT_NONCES or next(iter(self._seen.values())) < now - self._window
        ):
            self._seen.popitem(last=False)
        if nonce in self._seen:
            return now - self._seen[nonce] < grace
        self._seen[nonce] = now
        return True


class Secrets:
    """The shared secrets of a Connect installation, by target and app key; in memory alone."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], deque[str]] = {}

    def __repr__(self) -> str:
        return f"Secrets(of {len(self._secrets)} installations)"

    def of(self, target: str, key: str) -> tuple[str, ...]:
        """Newest first."""
        return tuple(self._secrets.get((target, key), ()))

    def learn(self, target: str, key: str, secret: str) -> None:
        kept = self._secrets.setdefault((target, key), deque(maxlen=KEPT_SECRETS))
        if secret in kept:
            kept.remove(secret)
        kept.appendleft(secret)

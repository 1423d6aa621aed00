"""UPM tokens (upm-protocol.md §1): bound to the user, one use, five minutes. Pure."""

from random import Random

LIFETIME = 300.0


class Tokens:
    """One token per user at a time; `now` is the host's clock in seconds."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._tokens: dict[str, tuple[str, float]] = {}

    def current(self, user: str, now: float) -> str:
        """The user's token: the same until it is used or has expired."""
        token, made = self._tokens.get(user, ("", -LIFETIME))
        if token and 0 <= now - made < LIFETIME:
            return token
        return self._renew(user, now)

    def spend(self, user: str, token: str, now: float) -> bool:
        """Whether *token* was good. One that matches is replaced, even when it had expired."""
        known, made = self._tokens.get(user, ("", 0.0))
        if not token or token != known:
            return False
        self._renew(user, now)
        return 0 <= now - made < LIFETIME

    def forget(self) -> None:
        """After a restart all tokens are gone."""
        self._tokens.clear()

    def _renew(self, user: str, now: float) -> str:
        # A signed 64-bit integer, so half of them begin with a minus.
        token = str(self._random.getrandbits(64) - 2**63)
        self._tokens[user] = (token, now)
        return token

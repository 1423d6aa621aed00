"""The tool's own troubles: each class knows its exit code and what the user does next.

A mistake in the user's descriptor is not here: it is a `model.Diagnostic`, a value.

    UpmDevError                    1
    ├── UsageError                 2   the command line or the settings are wrong
    ├── CannotStart                3   nothing was registered
    │   └── PortInUse
    └── TargetError                    one target, one attempt
        ├── TargetUnavailable      4   try again, with back-off
        ├── CredentialsRejected    5   stop and ask; trying again would lock the account
        ├── TargetRefused          6   wait for the next change
        └── NotConfirmed           7   installed, but nothing proved it

Every instance carries `reason` (what is wrong, and where) and `remedy` (what to do); neither ever
holds a secret. Only `cli` shows them.
"""

from typing import ClassVar

INTERRUPTED = 130


class UpmDevError(Exception):
    """Anything upm-dev reports and exits on."""

    exit_code: ClassVar[int] = 1

    def __init__(self, reason: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        return f"{self.reason}\n  {self.remedy}" if self.remedy else self.reason


class UsageError(UpmDevError):
    """The command line or the settings are wrong."""

    exit_code = 2


class CannotStart(UpmDevError):
    """Something the tool needs to run is not to be had."""

    exit_code = 3


class PortInUse(CannotStart):
    """Another process listens on the port we were told to use."""

    def __init__(self, host: str, port: int, flag: str = "--port") -> None:
        super().__init__(
            f"{host}:{port} is already in use",
            remedy=f"stop what listens there, or use {flag} {port + 1} ({flag} 0: any free port)",
            code="PORT-IN-USE",
        )
        self.host = host
        self.port = port


class TargetError(UpmDevError):
    """A target did not do what was asked; `code` is a stable name of the cause."""


class TargetUnavailable(TargetError):
    """The target did not answer, answered 5xx, or is still starting: try again.

    `retry_after` is the target's own `Retry-After` in seconds, when it sent one.
    """

    exit_code = 4

    def __init__(
        self, reason: str, *, remedy: str = "", code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(reason, remedy=remedy, code=code)
        self.retry_after = retry_after


class CredentialsRejected(TargetError):
    """The target does not accept who we are: stop and ask."""

    exit_code = 5


class TargetRefused(TargetError):
    """The target said no to this descriptor: wait for the next change."""

    exit_code = 6


class NotConfirmed(TargetError):
    """Installed, but the callback that would prove it did not come."""

    exit_code = 7


WORST_FIRST: tuple[type[TargetError], ...] = (
    CredentialsRejected,
    TargetRefused,
    TargetUnavailable,
    NotConfirmed,
)
"""Which exit code wins when several targets end differently: the first of 5, 6, 4, 7."""

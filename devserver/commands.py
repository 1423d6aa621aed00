"""What the user asks for on a page or by a key: values, on their way back to the loop."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegisterAgain:
    """Register the newest revision once more; with every target where none is named."""

    target: str | None = None


AGREEABLE = frozenset({"TARGET-NOT-DEV", "NOT-OURS", "KEY-CHANGED", "DRIFT-REPLACED"})
"""Codes of what `Agree` goes on with (`upm/refusals.toml`)."""


@dataclass(frozen=True, slots=True)
class Agree:
    """Go on with what a target was denied until the user agrees; with all where none is named.

    That is writing to a host that is not this machine, taking over somebody else's app, or
    installing under another key: whichever the target was last refused for.
    """

    target: str | None = None


@dataclass(frozen=True, slots=True)
class Unregister:
    """Take the app away, and leave the target alone until `RegisterAgain`."""

    target: str


@dataclass(frozen=True, slots=True)
class Enable:
    target: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget the secrets that a target shared: it was set up anew."""

    target: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Let saves wait, on every target, or go on with the newest one."""

    paused: bool = True


@dataclass(frozen=True, slots=True)
class RestartApp:
    pass


@dataclass(frozen=True, slots=True)
class Replay:
    """Send a recorded request to the app again; `path` and `body` in place of its own.

    `name` is `c12` for a callback, `x34` for another exchange.
    """

    name: str
    path: str | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class OpenInEditor:
    """Open a file of the project, by its name there."""

    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Fix:
    """Make the edit of the diagnostic at this place, if it is still the one that was shown."""

    code: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class OpenDashboard:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    pass


Command = (
    RegisterAgain
    | Agree
    | Unregister
    | Enable
    | Forget
    | Pause
    | RestartApp
    | Replay
    | OpenInEditor
    | Fix
    | OpenDashboard
    | Quit
)

Do = Callable[[Command], None]
"""Takes a command and returns at once; what comes of it is told by events."""

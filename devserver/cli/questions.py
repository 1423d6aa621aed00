"""What is asked on a terminal: may this run, what is the password. Nobody is asked in a script."""

import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import click

from devserver.errors import UsageError

_waited = 0.0


def waited() -> float:
    """Seconds that went by until the user had answered, all questions together."""
    return _waited


def _timed(ask: Callable[..., Any], question: str, **how: Any) -> Any:
    global _waited
    asked = time.monotonic()
    # Where an event loop runs, it would hear of a Ctrl-C only once the question is answered.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return ask(question, err=True, **how)
    finally:
        signal.signal(signal.SIGINT, before)
        _waited += time.monotonic() - asked


def _somebody_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(*, default: bool = False) -> Callable[[str], bool] | None:
    """Asks yes or no on stderr; None where there is no terminal."""
    if not _somebody_there():
        return None
    return lambda question: bool(_timed(click.confirm, question, default=default))


class Ask(Protocol):
    """Asks for a word on stderr until there is one that will do."""

    def __call__(
        self,
        question: str,
        default: str,
        words: tuple[str, ...] = (),
        check: Callable[[str], str] = str,
    ) -> str:
        """*words*: the only ones there are. *check* raises UsageError for what will not do."""


def text() -> Ask | None:
    """Asks for a word; None where there is no terminal."""
    return _text if _somebody_there() else None


def _text(
    question: str,
    default: str,
    words: tuple[str, ...] = (),
    check: Callable[[str], str] = str,
) -> str:
    def checked(value: str) -> str:
        try:
            return check(value)
        except UsageError as error:
            raise click.UsageError(f"{error.reason}: {error.remedy}") from error

    kind = {"type": click.Choice(words)} if words else {"value_proc": checked}
    return str(_timed(click.prompt, question, default=default, **kind))


def secret() -> Callable[[str], str] | None:
    """Asks for a secret without showing it; None where there is no terminal."""
    if not _somebody_there():
        return None
    return lambda question: str(_timed(click.prompt, question, hide_input=True))

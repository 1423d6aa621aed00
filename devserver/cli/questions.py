"""What is asked on a terminal: may this run, what is the password. Nobody is asked in a script."""

import sys
import time
from collections.abc import Callable
from typing import Any

import click

_waited = 0.0


def waited() -> float:
    """Seconds that went by until the user had answered, all questions together."""
    return _waited


def _timed(ask: Callable[..., Any], question: str, **how: Any) -> Any:
    global _waited
    asked = time.monotonic()
    try:
        return ask(question, err=True, **how)
    finally:
        _waited += time.monotonic() - asked


def _somebody_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(*, default: bool = False) -> Callable[[str], bool] | None:
    """Asks yes or no on stderr; None where there is no terminal."""
    if not _somebody_there():
        return None
    return lambda question: bool(_timed(click.confirm, question, default=default))


def text() -> Callable[[str, str, tuple[str, ...]], str] | None:
    """Asks for a word on stderr, with a default and perhaps the only words that will do."""
    if not _somebody_there():
        return None

    def prompt(question: str, default: str, words: tuple[str, ...]) -> str:
        kind = click.Choice(words) if words else None
        return str(_timed(click.prompt, question, default=default, type=kind))

    return prompt


def secret() -> Callable[[str], str] | None:
    """Asks for a secret without showing it; None where there is no terminal."""
    if not _somebody_there():
        return None
    return lambda question: str(_timed(click.prompt, question, hide_input=True))

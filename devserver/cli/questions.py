"""What is asked on a terminal: may this run, what is the password. Nobody is asked in a script."""

import sys
from collections.abc import Callable

import click


def _somebody_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(*, default: bool = False) -> Callable[[str], bool] | None:
    """Asks yes or no on stderr; None where there is no terminal."""
    if not _somebody_there():
        return None
    return lambda question: click.confirm(question, default=default, err=True)


def text() -> Callable[[str, str, tuple[str, ...]], str] | None:
    """Asks for a word on stderr, with a default and perhaps the only words that will do."""
    if not _somebody_there():
        return None

    def prompt(question: str, default: str, words: tuple[str, ...]) -> str:
        kind = click.Choice(words) if words else None
        answer: str = click.prompt(question, default=default, type=kind, err=True)
        return answer

    return prompt


def secret() -> Callable[[str], str] | None:
    """Asks for a secret without showing it; None where there is no terminal."""
    if not _somebody_there():
        return None

    def prompt(question: str) -> str:
        answer: str = click.prompt(question, hide_input=True, err=True)
        return answer

    return prompt

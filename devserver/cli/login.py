"""`upm-dev login`: put a target's secret into the keyring."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import click

from devserver.cli import options, questions
from devserver.errors import CannotStart, UsageError

if TYPE_CHECKING:
    from devserver.model import Target


class Keyring(Protocol):
    """The part of the `keyring` module that is used."""

    def get_password(self, service: str, user: str) -> str | None: ...
    def set_password(self, service: str, user: str, password: str) -> None: ...
    def delete_password(self, service: str, user: str) -> None: ...


@click.command
@click.argument("target")
@click.option("--project", type=click.Path(path_type=Path), default=Path(), help="Its settings.")
@click.option("--token", is_flag=True, help="A personal access token in place of a password.")
@options.shared("user")
def command(target: str, project: Path, token: bool, **given: object) -> None:
    """Ask for the password of TARGET (a name or a URL) and keep it in the system's keyring.

    It is kept under the target's origin (scheme, host, port) and sent nowhere else. Standard input
    is read where there is no terminal.
    """
    from devserver.addresses import origin
    from devserver.credentials import BEARER, DEFAULT_USER, Credentials, keyring_service

    keyring = the_keyring()
    chosen = target_of(project, target, given)
    user = BEARER if token else chosen.user or DEFAULT_USER
    # Made before the question: a secret that must not be sent need not be typed.
    Credentials(origin=origin(chosen.url), user=None if token else user, secret="")
    prompt = questions.secret()
    what = "Token" if token else f"Password of {user}"
    if prompt is not None:
        secret = prompt(f"{what} for {chosen.name} ({chosen.url})")
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise UsageError("there was no secret", remedy="type it, or pipe it to upm-dev login")
    with unlocked():
        keyring.set_password(keyring_service(chosen), user, secret)
    click.echo(f"kept for {origin(chosen.url)} as {user}; upm-dev logout {target} removes it")


def target_of(project: Path, target: str, given: dict[str, object]) -> "Target":
    """The target of that name or URL. Raises SettingsInvalid where there is none such."""
    (chosen,) = options.settings_of(project, {**given, "target": (target,)}).targets
    return chosen


def the_keyring() -> Keyring:
    """The `keyring` module. Raises CannotStart where there is none, or nothing behind it."""
    try:
        import keyring
        from keyring.backends.fail import Keyring as Nothing
    except ImportError:
        reason = "no keyring is installed with upm-dev"
    else:
        if not isinstance(keyring.get_keyring(), Nothing):
            return cast(Keyring, keyring)
        reason = "this machine has no keyring that upm-dev could use"
    raise CannotStart(
        reason,
        remedy="pip install 'upm-dev[keyring]', or set UPM_DEV_PASSWORD, or password-command",
        code="NO-KEYRING",
    )


@contextmanager
def unlocked() -> Iterator[None]:
    """Raises CannotStart where the keyring turns out to be locked, or not to work."""
    from keyring.errors import KeyringError

    try:
        yield
    except KeyringError as error:
        raise CannotStart(
            f"the keyring does not do it: {str(error) or type(error).__name__}",
            remedy="unlock it and try again, or set UPM_DEV_PASSWORD, or password-command",
            code="NO-KEYRING",
        ) from error

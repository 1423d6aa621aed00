"""`upm-dev logout`: take a target's secrets out of the keyring."""

from pathlib import Path

import click

from devserver.cli import options
from devserver.cli.login import target_of, the_keyring, unlocked


@click.command
@click.argument("target")
@click.option("--project", type=click.Path(path_type=Path), default=Path(), help="Its settings.")
@options.shared("user")
def command(target: str, project: Path, **given: object) -> None:
    """Forget the password and the token of TARGET (a name or a URL)."""
    from devserver.credentials import BEARER, DEFAULT_USER, keyring_service

    keyring = the_keyring()
    chosen = target_of(project, target, given)
    service = keyring_service(chosen)
    with unlocked():
        known = [
            user
            for user in (chosen.user or DEFAULT_USER, BEARER)
            if keyring.get_password(service, user) is not None
        ]
        for user in known:
            keyring.delete_password(service, user)
            click.echo(f"forgot {user} of {chosen.url}")
    if not known:
        click.echo(f"nothing was kept for {chosen.url}")

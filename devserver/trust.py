"""Which settings files the user has trusted, and which targets far away a project may write to.

`[app] command`, `password-command` and `dev = true` of a target elsewhere come from a project that
may be somebody else's, so none counts before the user has said yes to these very settings: once on
a terminal, which is remembered in the user's own state folder, or for one run with `--trust` (or
`UPM_DEV_TRUST` in the environment, never in the project's `.env`). Any change of what the settings
files say asks again.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devserver import userstate
from devserver.addresses import is_this_machine
from devserver.errors import UsageError
from devserver.model import Target
from devserver.settings import Settings

Ask = Callable[[str], bool]
"""Puts a question to the user and gives the answer."""


def commands(settings: Settings) -> tuple[str, ...]:
    """What the settings would run: the backend's command, then each target's password-command."""
    found = [settings.command] if settings.command else []
    found += [
        settings.password_commands[target.name]
        for target in settings.targets
        if target.name in settings.password_commands
    ]
    return tuple(dict.fromkeys(found))


def vouched(settings: Settings) -> tuple[Target, ...]:
    """The targets elsewhere that the settings files call ours to write to, by `dev = true`."""
    if settings.yes:  # the user has
        return ()
    return tuple(each for each in settings.targets if each.dev and not is_this_machine(each.url))


def believed(settings: Settings, trusted: bool) -> Settings:
    """The settings, without what they vouch for where they are not *trusted*.

    A password from the environment would else go wherever a cloned project says.
    """
    if trusted or not vouched(settings):
        return settings
    doubtful = {each.name for each in vouched(settings)}
    targets = tuple(
        replace(each, dev=False) if each.name in doubtful else each for each in settings.targets
    )
    return replace(settings, targets=targets)


def is_trusted(settings: Settings) -> bool:
    """Whether the user has said yes to these settings."""
    return settings.trust or settings.digest in _remembered()


def allow(settings: Settings, ask: Ask | None) -> bool:
    """Whether the settings are trusted, as far as that matters; asks where the user has not said.

    *ask* is None where there is no terminal: then nobody is asked, and the answer is no. A yes is
    remembered, `--trust` is not.
    """
    if not (commands(settings) or vouched(settings)) or is_trusted(settings):
        return True
    if ask is None or not ask(_question(settings)):
        return False
    _remember(settings.digest, project=str(settings.root))
    return True


def agreed(root: Path, target: Target, ask: Ask | None) -> bool:
    """Whether the project at *root* may log in and install apps at *target*, which is far away.

    The user is asked once; a yes is remembered for this project and this very address.
    """
    name = hashlib.sha256(f"{root}\0{target.url}".encode()).hexdigest()
    if name in _remembered():
        return True
    question = f"{target.name} is {target.url}, which is not this machine."
    if ask is None or not ask(f"{question} Log in and install apps there?"):
        return False
    _remember(name, project=str(root), target=target.url)
    return True


def require(settings: Settings, ask: Ask | None) -> None:
    """`allow`, for commands that cannot do without.

    Raises:
        UsageError: the user has not allowed it; the reason names what would have run.
    """
    if not allow(settings, ask):
        raise UsageError(
            f"{' and '.join(settings.files)} would run {_listed(commands(settings))}, and you have"
            " not trusted it yet",
            remedy="look at it, then give --trust (or answer yes on a terminal)",
            code="NOT-TRUSTED",
        )


def _question(settings: Settings) -> str:
    wants = []
    if named := commands(settings):
        wants.append(f"to run {_listed(named)}")
    if far := vouched(settings):
        wants.append(f"to log in and install apps at {', '.join(each.url for each in far)}")
    files = " and ".join(settings.files)
    return f"{settings.root}: {files} wants {' and '.join(wants)}. Trust it?"


def _listed(named: tuple[str, ...]) -> str:
    # repr: a control character in a command must not hide the rest of the line
    return ", ".join(map(repr, named))


def _file() -> Path:
    return userstate.folder() / "trusted.json"


def _remembered() -> dict[str, Any]:
    """What was trusted, by digest; a file that others may write says nothing."""
    file = _file()
    try:
        if os.name == "posix" and file.stat().st_mode & 0o022:
            return {}
        remembered = json.loads(file.read_bytes())
    except (OSError, ValueError):  # not there or not ours: nothing is trusted, the user is asked
        return {}
    return remembered if isinstance(remembered, dict) else {}


def _remember(name: str, **what: str) -> None:
    """Add what was trusted to the file, for its owner's eyes, all or nothing.

    Raises:
        UsageError: the state folder cannot be written.
    """
    file = _file()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    remembered = _remembered() | {name: {**what, "since": since}}
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(remembered, out, indent=1)
        fresh.replace(file)
    except OSError as exc:
        raise UsageError(
            f"{file} cannot be written: {(exc.strerror or str(exc)).lower()}",
            remedy="make the folder writable, or give --trust each time",
        ) from exc

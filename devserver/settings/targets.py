"""Which targets a run has: by name from the settings, by URL from wherever one was given."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from devserver import addresses, redact
from devserver.model import Position, Target
from devserver.settings.layers import Given, Layers, Place
from devserver.settings.table import PREFIX, near

SECRET_KINDS = ("TOKEN", "PASSWORD")


def secret_variable(target: str, kind: str) -> str:
    """The environment name of a target's secret: `jira-eu` has `UPM_DEV_JIRA_EU_PASSWORD`."""
    return f"{PREFIX}{re.sub('[^A-Z0-9]', '_', target.upper())}_{kind}"


@dataclass(slots=True)
class Chosen:
    """The targets of this run, and what belongs to them that a `Target` must not hold."""

    targets: tuple[Target, ...] = ()
    password_commands: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


def choose(layers: Layers) -> Chosen:
    """The targets that were asked for, or all that the settings files have."""
    asked = layers.best("target")
    user = layers.best("user")
    named = {name: known for name in layers.targets if (known := _named(layers, name))}
    _tell_apart(layers, named)
    chosen = Chosen()
    if asked is None:
        chosen.targets = tuple(named.values())
    else:
        found: dict[str, Target] = {}
        for text in asked.value:
            target = _asked(layers, asked, text, named, found, chosen)
            if target is not None:
                found[target.name] = target
        chosen.targets = tuple(found.values())
    if user is not None:
        for target in chosen.targets:
            if target.user != user.value:
                chosen.secrets.pop(target.name, None)  # it is another user's
        chosen.targets = tuple(replace(each, user=user.value) for each in chosen.targets)
    names = {each.name for each in chosen.targets}
    chosen.password_commands = {
        name: given["password-command"].value
        for name, given in layers.targets.items()
        if name in names and "password-command" in given
    }
    return chosen


def _named(layers: Layers, name: str) -> Target | None:
    """A target of the settings files; None where it has mistakes, which are noted."""
    given = layers.targets[name]
    url = given.get("url")
    if url is None:
        layers.note(
            "C002",
            f"{given[''].label} has no url",
            given[""].position,
            'add url = "http://localhost:2990/jira"',
        )
        return None
    address = _address(layers, url.value, url.label, url.position, allow_secret=False)
    if address is None:
        return None
    rest: dict[str, Any] = {
        key: given[key].value for key in ("user", "variables", "dev") if key in given
    }
    if (authority := given.get("ca-file")) is not None:
        rest["ca_file"] = str(layers.root / Path(authority.value).expanduser())
        if not Path(rest["ca_file"]).is_file():
            layers.note(
                "C009",
                f"{authority.label}: there is no file {rest['ca_file']}",
                authority.position,
                "name the PEM file of the authority, relative to the project's folder",
            )
    return Target(name=name, url=address.url, **rest)


def _asked(
    layers: Layers,
    asked: Given,
    text: str,
    named: dict[str, Target],
    found: dict[str, Target],
    chosen: Chosen,
) -> Target | None:
    """One target of the command line or the environment: a name or a URL."""
    if text in layers.targets:
        return found.get(text) or named.get(text)
    if not addresses.is_url(text):
        _note_no_such_target(layers, asked, text)
        return None
    allow_secret = asked.place is not Place.FLAG
    address = _address(layers, text, asked.label, asked.position, allow_secret=allow_secret)
    if address is None:
        return None
    known = {**named, **found}
    target = next((each for each in known.values() if each.url == address.url), None)
    if target is None:
        name = _free(addresses.name_for(address.url), {*layers.targets, *found})
        target = Target(name=name, url=address.url)
    if address.secret:
        chosen.secrets[target.name] = address.secret
    return replace(target, user=address.user) if address.user else target


def _note_no_such_target(layers: Layers, asked: Given, text: str) -> None:
    shown = redact.text(text)
    if ":" in text or "/" in text or text == "localhost":
        layers.note(
            "C005",
            f"{asked.label}: {shown} is not a URL",
            asked.position,
            f"write http://{shown} or https://{shown}",
        )
        return
    if meant := near(text, layers.targets):
        fix = f"did you mean {meant}?"
    elif layers.targets:
        fix = f"there are {', '.join(layers.targets)}"
    else:
        fix = f'give a URL, or add [targets.{shown}] with url = "..." to upm-dev.toml'
    layers.note("C007", f"{asked.label}: there is no target {shown}", asked.position, fix)


def _address(
    layers: Layers, text: str, label: str, position: Position, *, allow_secret: bool
) -> addresses.Address | None:
    try:
        address = addresses.parse(text, pasted=True)
    except addresses.NotAnAddress as exc:
        layers.note(
            "C005",
            f"{label}: {redact.text(text)} {exc}",
            position,
            "write it like http://localhost:2990/jira; in a password, # / ? and @ are %23 %2F %3F"
            " and %40",
        )
        return None
    if (address.user is not None or address.secret is not None) and not allow_secret:
        where = "every user sees it with ps" if label.startswith("--") else "files are shared"
        layers.note(
            "C006",
            f"{label}: the URL has user info in it, and {where}",
            position,
            f"leave out what stands before the @; give --user, and {PREFIX}PASSWORD in the"
            " environment",
        )
        return None
    return address


def _free(name: str, taken: Iterable[str]) -> str:
    """*name*, or name-2, name-3, ... where it is taken.

    Names are alike where their environment names are: one's password must not be the other's.
    """
    variables = {secret_variable(each, "") for each in taken}
    number, free = 1, name
    while secret_variable(free, "") in variables:
        number += 1
        free = f"{name}-{number}"
    return free


def _tell_apart(layers: Layers, named: dict[str, Target]) -> None:
    seen: dict[str, str] = {}
    for name in named:
        variable = secret_variable(name, "PASSWORD")
        if (other := seen.setdefault(variable, name)) != name:
            layers.note(
                "C008",
                f"the targets {other} and {name} would share {variable}",
                layers.targets[name][""].position,
                "rename one of them",
            )

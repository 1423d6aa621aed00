"""What the one-shot commands share: the project's descriptors, its targets' UPMs, what they say."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from devserver.addresses import served_at
from devserver.cli import consent, questions
from devserver.errors import UpmDevError, UsageError

if TYPE_CHECKING:
    from devserver.datacenter.plugin import Plugin
    from devserver.model import Descriptor, Target
    from devserver.reading import Variables
    from devserver.settings import Settings
    from devserver.upm.client import Upm


class DescriptorInvalid(UpmDevError):
    """The descriptor has errors; `upm-dev validate` shows them."""


def say(line: str, *, err: bool = False) -> None:
    """Write a line that may hold words of strangers: without secrets, fit for a terminal."""
    from devserver import redact
    from devserver.descriptor.visible import visible

    click.echo(visible(redact.text(line)), err=err)


def told(error: UpmDevError) -> str:
    """What went wrong, and on a line below what to do."""
    code = f" [{error.code}]" if error.code else ""
    return f"{error.reason}{code}" + (f"\n  {error.remedy}" if error.remedy else "")


def require_targets(settings: "Settings", what: str) -> None:
    """Raises UsageError where there is no target to *what*."""
    if not settings.targets:
        raise UsageError(
            f"there is no target to {what}",
            remedy="give --target URL, or write one under [targets.NAME] in upm-dev.toml",
        )


def base_url(settings: "Settings") -> str:
    """How targets would reach us."""
    return settings.public_url or served_at(settings.host, settings.port or 8000)


def plugin_of(settings: "Settings") -> "Plugin | None":
    """The plugin whose descriptor goes to targets inside its JAR; None where it goes by itself."""
    descriptor = descriptor_of(settings)
    if not descriptor.endswith((".xml", ".xml.j2")):
        return None
    if not (settings.jar or "/resources/" in descriptor):
        return None
    from devserver.datacenter.plugin import plugin_of as found

    return found(settings, descriptor)


def descriptors(
    settings: "Settings", *, address: str | None = None, plugin: "Plugin | None" = None
) -> "Mapping[str, Descriptor]":
    """What each target would be handed, by the target's name.

    *address* is how targets reach us, where it is not the one of the settings; *plugin* is where
    the descriptor is put, for targets that take JARs.

    Raises DescriptorInvalid, and SettingsInvalid where there is no descriptor.
    """
    from devserver.reading import read
    from devserver.sources import Sources

    sources = Sources(settings.root, descriptor_of(settings), settings.variables_files, plugin)
    made = {}
    for target in settings.targets:
        variables = _variables(settings, target, address or base_url(settings))
        reading = read(sources, sources.look(), variables)
        if reading.examined is None or reading.examined.descriptor is None:
            first = reading.errors[0]
            where = f"{first.position}: "
            of_jar = first.code.startswith("B")  # validate knows nothing of the JAR
            raise DescriptorInvalid(
                # Those of a JAR begin with its name.
                f"{'' if first.message.startswith(where[:-2]) else where}{first.message}",
                remedy=first.fix if of_jar else "upm-dev validate shows every mistake in its place",
                code=first.code,
            )
        made[target.name] = reading.examined.descriptor
    return made


def descriptor_of(settings: "Settings") -> str:
    """The project's descriptor, by its name there. Raises SettingsInvalid where there is none."""
    from devserver.settings import SettingsInvalid
    from devserver.sources import find_descriptor

    found = settings.descriptor or find_descriptor(settings.root)
    if not isinstance(found, str):
        raise SettingsInvalid((found,))
    return found


def _variables(settings: "Settings", target: "Target", address: str) -> "Variables":
    from devserver import variables

    return lambda files: variables.for_target(
        settings, target, base_url=address, files=files, environ=os.environ
    )


@asynccontextmanager
async def upms(
    settings: "Settings", permissions: "consent.Permissions | None" = None
) -> "AsyncIterator[Mapping[str, Upm]]":
    """The UPM of each target, by the target's name, while the block runs.

    A target that is far away and not agreed to is sent nothing, and says so when it is asked; one
    without credentials says that. *permissions*: what the user has agreed to, where that is known.
    """
    from devserver import credentials, trust
    from devserver.upm.client import upms_of
    from devserver.upm.permission import Permission, is_far, not_agreed
    from devserver.upm.wire import connections

    trusted = trust.allow(settings, questions.confirm())
    settings = trust.believed(settings, trusted)
    permissions = permissions or consent.of(settings, questions.confirm())
    barred = {
        each.name
        for each in settings.targets
        if is_far(each) and Permission.INSTALL not in permissions(each)
    }
    prompt = questions.secret()

    def find(target: "Target") -> credentials.Credentials:
        if target.name in barred:  # nobody is asked for a password that is not sent
            raise not_agreed(target)
        return credentials.find(target, settings, trusted=trusted, prompt=prompt)

    async with connections() as session:
        found = upms_of(session, settings.targets, find, limit=min(settings.timeout, 30.0))
        for name in barred:
            found[name].wire.barred = not_agreed(found[name].target)
        yield found

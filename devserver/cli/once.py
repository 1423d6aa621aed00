"""What the one-shot commands share: the project's descriptors, and its targets' UPMs."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from devserver.addresses import served_at
from devserver.errors import UpmDevError

if TYPE_CHECKING:
    from devserver.model import Descriptor, Target
    from devserver.reading import Variables
    from devserver.settings import Settings
    from devserver.upm.client import Upm


class DescriptorInvalid(UpmDevError):
    """The descriptor has errors; `upm-dev validate` shows them."""


def base_url(settings: "Settings") -> str:
    """How targets would reach us."""
    return settings.public_url or served_at(settings.host, settings.port or 8000)


def descriptors(settings: "Settings") -> "Mapping[str, Descriptor]":
    """What each target would be handed, by the target's name.

    Raises DescriptorInvalid, and SettingsInvalid where there is no descriptor.
    """
    from devserver.reading import read
    from devserver.settings import SettingsInvalid
    from devserver.sources import Sources, find_descriptor

    found = settings.descriptor or find_descriptor(settings.root)
    if not isinstance(found, str):
        raise SettingsInvalid((found,))
    sources = Sources(settings.root, found, settings.variables_files)
    made = {}
    for target in settings.targets:
        reading = read(sources, sources.look(), _variables(settings, target))
        if reading.examined is None or reading.examined.descriptor is None:
            first = reading.errors[0]
            raise DescriptorInvalid(
                f"{first.position}: {first.message}",
                remedy="upm-dev validate shows every mistake in its place",
                code=first.code,
            )
        made[target.name] = reading.examined.descriptor
    return made


def _variables(settings: "Settings", target: "Target") -> "Variables":
    from devserver import variables

    return lambda files: variables.for_target(
        settings, target, base_url=base_url(settings), files=files, environ=os.environ
    )


@asynccontextmanager
async def upms(settings: "Settings") -> "AsyncIterator[Mapping[str, Upm]]":
    """The UPM of each target, by the target's name, while the block runs.

    Raises CredentialsRejected where a target's credentials are missing.
    """
    from devserver import credentials, trust
    from devserver.cli import questions
    from devserver.upm.client import Upm
    from devserver.upm.wire import connections

    trusted = trust.allow(settings, questions.confirm())
    prompt = questions.secret()

    def find(target: "Target") -> credentials.Credentials:
        return credentials.find(target, settings, trusted=trusted, prompt=prompt)

    async with connections() as session:
        yield {
            each.name: Upm(session, each, find(each), limit=min(settings.timeout, 30.0))
            for each in settings.targets
        }

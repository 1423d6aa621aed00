"""How a revision gets into a target, and what proves that it runs there: by address, or as a JAR.

The registrar knows when; a delivery knows how. `ByUri` hands the target our address, and what it
fetched from there is proof. JARs have a delivery of their own (`datacenter`).
"""

from typing import Protocol

from devserver import interfaces
from devserver.errors import TargetError
from devserver.model import Descriptor, Proof
from devserver.upm import blame
from devserver.upm.answers import Plugin, Task
from devserver.upm.attempt import Attempt
from devserver.upm.causes import Call, Trouble
from devserver.upm.client import Upm
from devserver.upm.where import Where


class RestartNeeded(TargetError):
    """Installed; the target will run it after a restart, and until then what it ran before."""


class Delivery(Protocol):
    """What the registrar asks of it, in this order, for each revision."""

    quiet: float
    """Seconds without a newer revision before an installation."""
    adopts: bool
    """An app of our key that is there already, on this machine, is ours."""

    def rests_on(self, descriptor: Descriptor) -> Proof:
        """What a confirmation will rest on."""

    def source(self, descriptor: Descriptor) -> str:
        """What the target is told to install: an address, or a file's name."""

    async def look(self, descriptor: Descriptor) -> None:
        """See what the target has, before anything is sent. Raises TargetRefused."""

    async def send(self, attempt: Attempt, token: str) -> Task:
        """Ask for the installation."""

    async def accept(self, plugin: Plugin, attempt: Attempt) -> None:
        """Compare what is listed, now that the task has ended well, with what was sent.

        Raises TargetError where it is not that, RestartNeeded where it will be.
        """

    async def refused(self, error: TargetError, attempt: Attempt) -> TargetError:
        """*error*, with which the task ended, told with what else is known; undoes what can be."""

    def has_arrived(self, plugin: Plugin, attempt: Attempt) -> bool:
        """Whether *plugin* is what was sent, though nobody saw the task end."""

    def is_there(self, plugin: Plugin, descriptor: Descriptor) -> bool:
        """Whether *plugin* still is what was installed, as far as that can be seen."""


class ByUri:
    """The target fetches the descriptor from *where* we serve it."""

    quiet = 0.0
    adopts = False

    def __init__(self, upm: Upm, where: Where) -> None:
        self._upm = upm
        self._where = where

    def rests_on(self, descriptor: Descriptor) -> Proof:
        hears = descriptor.confirming and self._where.is_ours(descriptor.base_url)
        return Proof.CALLBACK if hears else Proof.UPM

    def source(self, descriptor: Descriptor) -> str:
        return self._where.descriptor(self._upm.target.name, descriptor)

    async def look(self, descriptor: Descriptor) -> None:
        """Nothing has to be known: the answer to the installation says what stands against it."""

    async def send(self, attempt: Attempt, token: str) -> Task:
        descriptor = attempt.descriptor
        return await self._upm.install(self.source(descriptor), token, descriptor.name)

    async def accept(self, plugin: Plugin, attempt: Attempt) -> None:
        descriptor = attempt.descriptor
        facts = {
            "key": descriptor.key,
            "version": descriptor.version or "",
            "uri": self.source(descriptor),
        }
        if plugin.key != descriptor.key:
            raise self._upm.trouble(Call.TASK, Trouble.OTHER_KEY, listed=plugin.key, **facts)
        if plugin.restart:
            raise restart_needed(self._upm.target.name, plugin)
        if not self.is_there(plugin, descriptor):
            listed = plugin.version or ""
            raise self._upm.trouble(Call.TASK, Trouble.OLDER, listed=listed, **facts)

    async def refused(self, error: TargetError, attempt: Attempt) -> TargetError:
        found = await interfaces.found(self._upm.url)
        return blame.refused(attempt, error, self.source(attempt.descriptor), found)

    def has_arrived(self, plugin: Plugin, attempt: Attempt) -> bool:
        return attempt.fetched is not None and self.is_there(plugin, attempt.descriptor)

    def is_there(self, plugin: Plugin, descriptor: Descriptor) -> bool:
        """Whether it has the descriptor's version, as far as both name one."""
        known = descriptor.version and plugin.version
        return not (known and plugin.version != descriptor.version)


def restart_needed(target: str, plugin: Plugin) -> RestartNeeded:
    return RestartNeeded(
        f"{target} will run it after a restart ({plugin.restart}); until then it runs what it had",
        remedy="restart the host: some types of modules cannot be exchanged while it runs",
        code="RESTART-NEEDED",
    )

"""A revision on its way into a product as a JAR: by upload, by address, or into a folder it reads.

Proof is the mark in the description that the target lists, and that every module which was enabled
still is. What was refused, or came out disabled, is put back under the version that the host has
now, since hosts skip older ones.
"""

import asyncio
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from devserver import interfaces
from devserver.datacenter.files import File
from devserver.datacenter.hostlog import HostLog
from devserver.datacenter.plugin import Packed, Plugin
from devserver.datacenter.versions import is_older
from devserver.descriptor.archive import Archive, parse
from devserver.descriptor.jar import DESCRIPTOR
from devserver.descriptor.mark import mark, mark_in, marked, proves
from devserver.descriptor.patch import Pieces, patched
from devserver.errors import NotConfirmed, TargetError, TargetRefused, TargetUnavailable
from devserver.events import Bus, HostLogged, Notice
from devserver.model import Descriptor, Proof, Severity
from devserver.publish import Artifacts
from devserver.upm import blame, known
from devserver.upm.answers import Installed, Running, Task
from devserver.upm.answers import Plugin as Listed
from devserver.upm.attempt import Attempt
from devserver.upm.causes import Call, Trouble
from devserver.upm.client import Upm
from devserver.upm.delivery import RestartNeeded, restart_needed

QUIET_SECONDS = 0.3
"""A reinstallation restarts the plugin, so an editor that saves by itself is waited for."""
SETTLE = (0.2, 0.5, 1.0)
"""Seconds after which a module that is not enabled yet is looked at again."""
PUT_BACK_SECONDS = 60.0
IN_MEMORY = 16 * 1024 * 1024
"""Bytes of the last good JAR that are not put on disk."""


_WHY = {
    True: "the product's log says why, in the lines above; mend that and save",
    False: "the product's log says why: name it with --host-log FILE, and it is shown here",
}
"""What to do, by whether the log's lines were found."""


@dataclass(slots=True)
class _Good:
    """What the target was last proved to run."""

    revision: str
    descriptor: Descriptor
    jar: IO[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How JARs get in: `upload`, `uri`, or a folder that the host reads at its start.

    `address` is how targets reach us, for `uri`.
    """

    by: str = "upload"
    folder: Path | None = None
    artifacts: Artifacts
    address: str


class ByJar:
    """Brings *plugin*'s JAR into one target."""

    quiet = QUIET_SECONDS
    adopts = True

    def __init__(self, upm: Upm, plugin: Plugin, bus: Bus, way: Way, log: HostLog | None) -> None:
        self._upm = upm
        self._plugin = plugin
        self._bus = bus
        self._way = way
        self._log = log
        self._before: Listed | None = None
        """What was installed when this attempt began."""
        self._sent: Packed | None = None
        """What is under way; let go once it has ended, since it may be large."""
        self._good: _Good | None = None
        self._blind = False
        """This target does not show descriptions, so no mark can be read."""
        self._warned = False
        self._told: File | None = None
        """The file that was last sent, and told of."""
        self._offered = ExitStack()
        self._path = ""
        """Where the JAR that is offered can be fetched."""

    @property
    def _name(self) -> str:
        return self._upm.target.name

    def rests_on(self, descriptor: Descriptor) -> Proof:
        return Proof.UPM

    def source(self, descriptor: Descriptor) -> str:
        return self._plugin.file_name

    async def look(self, descriptor: Descriptor) -> None:
        """Refuse what the target would skip without a word: an older version."""
        self._before = before = await self._upm.plugin(descriptor.key)
        await self._look_for_quick_reload()
        mine, theirs = descriptor.version, before.version if before else None
        if mine and theirs and is_older(mine, theirs):
            raise TargetRefused(
                f"{self._name} has {descriptor.key} {theirs}, and would skip {mine}, the older one",
                remedy=f"make it {theirs} or later: <version> in pom.xml, or in the descriptor",
                code="JAR-OLDER",
            )

    async def send(self, attempt: Attempt, token: str) -> Task:
        descriptor = attempt.descriptor
        sign = mark(attempt.revision, descriptor.digest)
        self._sent = None
        self._sent = await asyncio.to_thread(self._plugin.pack, descriptor, sign)
        self._tell_jar(self._sent)
        if self._log is not None:
            self._log.begin()
        if self._way.folder is not None:
            raise await asyncio.to_thread(self._copy, self._way.folder, self._sent)
        return await self._install(self._sent, descriptor, token)

    def _tell_jar(self, packed: Packed) -> None:
        """Say, once for each build, which JAR it is that the descriptor is exchanged in."""
        if packed.file != self._told:
            self._told = packed.file
            built = time.strftime("%H:%M:%S", time.localtime(packed.file.changed))
            message = f"the descriptor goes into {packed.file.name}, built {built}"
            self._bus.publish(Notice(severity=Severity.INFO, message=message, target=self._name))

    async def _install(self, packed: Packed, descriptor: Descriptor, token: str) -> Task:
        self._offered.close()
        if self._way.by != "uri":
            return await self._upm.upload(packed.data, packed.name, token)
        data = bytes(packed.data)
        self._path = self._offered.enter_context(self._way.artifacts.offered(packed.name, data))
        uri = f"{self._way.address}{self._path}"
        return await self._upm.install(uri, token, descriptor.name)

    def _copy(self, folder: Path, packed: Packed) -> TargetError:
        """Put the JAR into a folder that the host reads; it does so when it starts."""
        made = None
        try:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".upm-dev-", delete=False) as file:
                made = Path(file.name)
                file.writelines(packed.data)
            made.chmod(0o644)
            made.replace(folder / packed.name)
        except OSError as exc:
            if made is not None:
                made.unlink(missing_ok=True)
            return TargetRefused(
                f"{folder} cannot be written: {(exc.strerror or str(exc)).lower()}",
                remedy="name a folder in which you may write",
                code="JAR-FOLDER",
            )
        return RestartNeeded(
            f"{packed.name} lies in {folder}: {self._name} reads it when it starts",
            remedy="restart the host",
            code="RESTART-NEEDED",
        )

    async def accept(self, plugin: Listed, attempt: Attempt) -> None:
        self._offered.close()
        descriptor = attempt.descriptor
        if plugin.key != descriptor.key:
            facts = {"key": descriptor.key, "listed": plugin.key, "version": "", "uri": ""}
            raise self._upm.trouble(Call.TASK, Trouble.OTHER_KEY, **facts)
        if plugin.restart:
            self._tell_log(attempt)
            raise restart_needed(self._name, plugin)
        plugin = await self._settled(plugin, descriptor)
        why = _WHY[self._tell_log(attempt)]
        await self._compare(plugin, attempt, why)
        if off := _off(plugin, descriptor, self._before):
            some = ", ".join(off[:5]) + (f" and {len(off) - 5} more" if off[5:] else "")
            what = "1 module is" if len(off) == 1 else f"{len(off)} modules are"
            raise NotConfirmed(
                f"installed, but {what} disabled: {some}",
                remedy=why,
                code="JAR-MODULES-DISABLED",
            )
        self._keep(attempt)

    async def _compare(self, plugin: Listed, attempt: Attempt, why: str) -> None:
        """Whether it is enabled, and is what was sent; *why* says where to look if it is not."""
        if not plugin.enabled and (self._before is None or self._before.enabled):
            done = await self._put_back(attempt)
            raise TargetRefused(
                f"{self._name} installed {attempt.revision} and then disabled it{done}",
                remedy=why,
                code="JAR-DISABLED",
            )
        found = mark_in(plugin.description)
        self._blind = found is None and plugin.version == attempt.descriptor.version
        if self._blind:
            raise NotConfirmed(
                f"installed, as {self._name} says, but it does not show the description with our "
                "mark: nothing proves that it runs this very revision",
                remedy="nothing is wrong with the app; look at it in the browser",
                code="JAR-NO-MARK",
            )
        if found is None or not self.is_there(plugin, attempt.descriptor):
            listed = found or plugin.version or "another build"
            raise TargetRefused(
                f"{self._name} said that it was done, and still has {listed}",
                remedy="does something else install it, QuickReload say?",
                code="JAR-NOT-TAKEN",
            )

    async def refused(self, error: TargetError, attempt: Attempt) -> TargetError:
        came = self._way.artifacts.is_taken(self._path)
        self._offered.close()
        self._tell_log(attempt)
        if error.code == blame.FETCH_FAILED and self._way.by == "uri":
            found = await interfaces.found(self._upm.url)
            what = f"{self._plugin.file_name} from {self._way.address}"
            return blame.not_fetched(what, self._way.address, found, came=came)
        if isinstance(error, TargetUnavailable):
            return error
        done = await self._put_back(attempt)
        return type(error)(f"{error.reason}{done}", remedy=error.remedy, code=error.code)

    def has_arrived(self, plugin: Listed, attempt: Attempt) -> bool:
        return not self._blind and self.is_there(plugin, attempt.descriptor)

    def is_there(self, plugin: Listed, descriptor: Descriptor) -> bool:
        if self._blind:
            return plugin.version == descriptor.version
        return proves(plugin.description, descriptor.digest)

    # -- putting back -----------------------------------------------------------------------------

    def _keep(self, attempt: Attempt) -> None:
        """Remember what was just proved: what is put back when the next one fails."""
        assert self._sent is not None
        if self._good is not None:
            self._good.jar.close()
        file = _spool()
        for each in self._sent.data:  # writelines would hold it all in memory before it looks
            file.write(each)
        self._good = _Good(attempt.revision, attempt.descriptor, file)
        self._sent = None

    async def _put_back(self, attempt: Attempt) -> str:
        """Bring back what ran before, where it does not run; what was done, for the message."""
        self._sent = None
        if self._before is None:
            return ""
        key = attempt.descriptor.key
        try:
            async with asyncio.timeout(PUT_BACK_SECONDS):
                there = await self._upm.plugin(key)
                if there is not None and there.enabled and self._is_as_before(there):
                    return f"; {self._said()} still runs"
                version = there.version if there else None
                packed = await asyncio.to_thread(self._last_good, attempt, version)
                task = await self._install(packed, attempt.descriptor, await self._upm.token())
                there = await self._ended(task)
                if not there.enabled:
                    await self._upm.enable(key)
                    there = await self._upm.plugin(key)
                if there is None or not there.enabled:
                    return f"; {self._said()} was put back, and {self._name} disabled it as well"
        except (TargetError, TimeoutError) as error:
            why = error.reason if isinstance(error, TargetError) else "no answer in time"
            return f"; {self._said()} could not be put back: {why}"
        finally:
            self._offered.close()
        return f"; {self._said()} was put back"

    def _said(self) -> str:
        return self._good.revision if self._good else "the build that was there"

    def _is_as_before(self, there: Listed) -> bool:
        assert self._before is not None
        return (there.version, there.description) == (
            self._before.version,
            self._before.description,
        )

    def _last_good(self, attempt: Attempt, version: str | None) -> Packed:
        """The last JAR that was proved, else the one that the build made, as that *version*."""
        if self._good is None:
            return self._plugin.as_built(mark(attempt.revision, "0" * 12), version)
        good = self._good
        assert self._told is not None
        good.jar.seek(0)
        archive = parse(good.jar.read())
        assert isinstance(archive, Archive)
        sign = mark(good.revision, good.descriptor.digest)
        data = patched(archive, {DESCRIPTOR: marked(good.descriptor.body, sign, version)})
        assert isinstance(data, Pieces)
        return Packed(self._told, data)

    async def _ended(self, task: Task) -> Listed:
        while True:
            outcome = await self._upm.poll(task)
            match outcome:
                case Running():
                    await asyncio.sleep(max(outcome.ping_after_ms, 50) / 1000)
                case Installed():
                    return outcome.plugin
                case _:
                    raise TargetRefused(f"{self._name} refused that too")

    # -- looking ----------------------------------------------------------------------------------

    async def _settled(self, plugin: Listed, descriptor: Descriptor) -> Listed:
        """*plugin* once its modules are up: hosts enable some of them a little later."""
        for delay in SETTLE:
            if plugin.enabled and not _off(plugin, descriptor, self._before):
                break
            await asyncio.sleep(delay)
            plugin = await self._upm.plugin(plugin.key) or plugin
        return plugin

    def _tell_log(self, attempt: Attempt) -> bool:
        """Tell what the product has logged of us since the JAR was sent; whether there was any."""
        if self._log is None:
            return False
        words = (attempt.descriptor.key, *(each for each in self._plugin.packages if "." in each))
        lines = self._log.since(words)
        for told in lines:
            self._bus.publish(
                HostLogged(
                    target=self._name,
                    revision=attempt.revision,
                    file=told.file,
                    lines=told.lines,
                )
            )
        return bool(lines)

    async def _look_for_quick_reload(self) -> None:
        """Warn, once, of what would put the unpatched build back."""
        if self._warned:
            return
        self._warned = True
        reloader = await self._upm.plugin(known.QUICK_RELOAD)
        if reloader is not None and reloader.enabled:
            self._bus.publish(
                Notice(
                    severity=Severity.WARNING,
                    message=f"QuickReload is active: {known.RELOADS}",
                    remedy=known.RELOADS_REMEDY,
                    target=self._name,
                )
            )


def _spool() -> IO[bytes]:
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))


def _off(plugin: Listed, descriptor: Descriptor, before: Listed | None) -> list[str]:
    """The modules that are not on, and should be.

    Not those that are off by the descriptor, or were off before; and a module that the target does
    not list at all (it is for another product, say) is missed only where it was on before.
    """
    listed = {each.key: each.enabled for each in plugin.modules}
    earlier = {each.key: each.enabled for each in before.modules} if before else {}
    return sorted(
        each.key
        for each in descriptor.modules
        if each.key
        and ("@state", "disabled") not in each.facts
        and earlier.get(each.key, True)
        and not listed.get(each.key, not earlier.get(each.key, False))
    )

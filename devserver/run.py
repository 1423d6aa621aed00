"""The composition root: builds everything, owns the one TaskGroup, and takes it all down again.

Shutdown, in this order (a signal cancels the main task):

1. The TaskGroup is cancelled: no further look, no further attempt.
2. Each registrar retires, all at once: an install under way is awaited as long as the target
   answers, the app is unregistered unless it is to be kept. The public port still answers
   meanwhile, since a host in the middle of an install asks it, and tells the app that it is gone.
   A target that leaves one question unanswered for a second is given up, so that with any number
   of targets that hang, and browsers that look on, the whole takes no more than 1.5 s
   (`make bench`: leaving).
3. The ports close, then the embedded simulator, then the connections.
4. `stopped` is published: the last event, with what stays installed.

A second signal cuts 1 and 2 short; `stopped` then names what was left.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from devserver import farewell, selfcheck, variables
from devserver.addresses import is_this_machine, served_at
from devserver.companions import Companions, Loop, Running, dashboard_sockets
from devserver.descriptor import report
from devserver.errors import INTERRUPTED, UpmDevError
from devserver.events import Bus, Event, Notice, Started, Stopped, TargetChanged
from devserver.model import Diagnostic, Severity, Target, TargetState
from devserver.pipeline import Pipeline
from devserver.port import PublicPort
from devserver.publish import Artifacts
from devserver.publish import Published as Kept
from devserver.reading import Variables
from devserver.redact import Redactor
from devserver.registrar import ByUri, Limits, Permission, Registrar, Where
from devserver.renewal import Find, Renewal
from devserver.settings import Settings
from devserver.sources import Snapshot, Sources
from devserver.stale import Stale
from devserver.upm.client import Upm, upms_of
from devserver.upm.delivery import Delivery
from devserver.upm.journal import Journal
from devserver.upm.wire import connections
from devserver.watch import WATCHER
from devserver.web.listen import open_sockets

if TYPE_CHECKING:
    from devserver.commands import Do
    from devserver.datacenter.plugin import Plugin

SIMULATOR = "simulator"
"""The name of the target when none was configured."""
JAR_SECONDS = 300.0
"""How long a target may take to install a JAR: it is started anew, with all it depends on."""
SILENCE_SECONDS = 1.0
"""How long a target may leave a request unanswered, at exit, before it is given up."""

Permissions = Callable[[Target], Iterable[Permission]]
"""What the user allows on a target, beyond what needs no asking."""


class Serve:
    """`upm-dev serve`: one project, its targets, and the loop between them."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        find: Find,
        *,
        started: Callable[[], float],
        journal: Journal | None = None,
        permissions: Permissions = lambda _: (),
        trusted: bool = False,
        alone: bool = False,
        plugin: "Plugin | None" = None,
        redactor: Redactor | None = None,
        renew: Find | None = None,
    ) -> None:
        """*started* gives the `time.monotonic()` at which the process began, questions apart.

        *find* gives a target's credentials, once, before the loop starts; *renew* what the
        project's files have after the target rejected those.

        *journal* is for targets of other processes: the simulator in this one ends with it.
        *trusted*: the project's commands may run. *alone*: nothing runs beside the loop, neither
        the app nor the dashboard. *plugin*: the descriptor goes to the targets inside its JAR.
        """
        self.bus = Bus()
        self._settings = settings
        self._sources = sources
        self._find = find
        self._renew = renew
        self._started = started
        self._journal = journal
        self._permissions = permissions
        self._trusted = trusted
        self._alone = alone
        self._plugin = plugin
        self._artifacts = Artifacts()
        self._redactor = redactor or Redactor()
        self.do: Do = lambda _: None
        """Where faces send what the user asks for."""
        self.takes_commands = not alone
        self.also: Running = []
        """What faces have running in the same group."""
        self._code = INTERRUPTED
        self._patience: float | None = None
        """How long a target that still installs is waited for at the end; None: `limits.task`."""
        self._main: asyncio.Task[Any] | None = None
        self._begun: list[asyncio.Task[Any]] = []
        self._stopping = False
        self._kept = Kept(settings.public_url)
        self._registrars: list[Registrar] = []
        self._pipeline: Pipeline | None = None
        self._port: PublicPort | None = None

    def frames(self, diagnostics: tuple[Diagnostic, ...], *, colour: bool) -> str:
        """The diagnostics, each with the line of source it speaks of."""
        texts = self._pipeline.texts if self._pipeline else {}
        return report.text(diagnostics, texts, colour=colour)

    @property
    def keeps(self) -> bool:
        """Whether the app stays installed at the end; a host that ends with us keeps nothing."""
        settings = self._settings
        of_a_build = self._plugin is not None and not settings.uninstall
        return bool(settings.targets) and (settings.keep or of_a_build)

    async def run(self) -> int:
        """Serve until a signal comes; gives the exit code.

        Raises:
            CannotStart: a port is taken, or the address is not this machine's.
            CredentialsRejected: a target's credentials are missing or must not be used.
        """
        main = asyncio.current_task()
        assert main is not None
        self._main = main
        code = 1
        left: tuple[str, ...] = ()
        with _at_signals(self._stop):
            try:
                async with AsyncExitStack() as stack:
                    running = await self._start(stack)
                    try:
                        async with asyncio.TaskGroup() as tasks:
                            self._begun = [
                                tasks.create_task(work(), name=name) for name, work in running
                            ]
                    except asyncio.CancelledError:
                        main.uncancel()
                    except BaseExceptionGroup as group:
                        # The user is told of a trouble that we know, not of how we are built.
                        if (known := group.subgroup(UpmDevError)) is not None:
                            raise _first(known) from group
                        raise
                    finally:
                        left = await self._retire()
                code = self._code
            except asyncio.CancelledError:
                main.uncancel()
                code = self._code
                left = self._left()
            except UpmDevError as error:
                code = error.exit_code
                raise
            finally:
                self.bus.publish(Stopped(exit_code=code, left=left))
                self.bus.close()
        return code

    def end(self, code: int) -> None:
        """End the run, as a signal would, but with this exit code; the first one counts.

        What still installs then has had its time, and is waited for no further.
        """
        if self._main is not None and self._code == INTERRUPTED:
            self._code = code
            self._patience = SILENCE_SECONDS
            self._stop()

    def _stop(self) -> None:
        """Cancel what runs; a second time it is for what did not heed the first.

        A library may take a cancellation for its own, and a group that is being left hears of no
        other: each task is told itself.
        """
        assert self._main is not None
        self._main.cancel()
        if self._stopping:
            for each in self._begun:
                each.cancel()
            if self._port is not None:
                self._port.give_up()
        self._stopping = True

    async def _start(self, stack: AsyncExitStack) -> list[tuple[str, Callable[[], Any]]]:
        """Open everything; gives the long-lived coroutines by name."""
        settings = self._settings
        sockets = open_sockets(settings.host, settings.port)
        for each in sockets:
            stack.callback(each.close)
        port = sockets[0].getsockname()[1]
        local = served_at(settings.host, port)
        base_url = settings.public_url or local
        targets = settings.targets or (await self._simulator(stack),)

        session = await stack.enter_async_context(connections())
        upms = upms_of(session, targets, self._find)
        where = Where(base_url, (local, f"http://127.0.0.1:{port}"))
        limits = Limits(
            task=max(settings.timeout, JAR_SECONDS) if self._plugin else settings.timeout,
            confirm=min(Limits().confirm, settings.timeout / 3),
            check=settings.check_every,
        )
        self._registrars = [
            Registrar(
                each,
                upms[each.name],
                self.bus,
                delivery=self._delivery(upms[each.name], where),
                keep=self.keeps,
                limits=limits,
                journal=self._journal if settings.targets else None,
                permissions=self._permissions(each),
            )
            for each in targets
        ]
        stack.enter_context(self.bus.listening(self._hold))
        self._pipeline = Pipeline(
            self._sources,
            self._variables(targets, base_url),
            published=self._kept,
            registrars=self._registrars,
            bus=self.bus,
            url=base_url + self._sources.path,
            poll=settings.poll,
        )
        beside = None if self._alone else self._companions(self._pipeline, upms, port, base_url)
        if beside is not None:
            stack.push_async_callback(beside.close)
            self.do = beside.take
        self._port = PublicPort(
            settings,
            sockets,
            base_url=base_url,
            bus=self.bus,
            published=self._kept,
            artifacts=self._artifacts,
            upms=upms,
            beside=beside,
        )
        stack.push_async_callback(self._port.close)
        urls = {"descriptor": base_url + self._sources.path}
        if beside is not None:
            urls["dashboard"] = beside.dashboard
            if beside.backend is not None:
                urls["app"] = f"{base_url}/"
        self.bus.publish(
            Started(
                urls=urls,
                targets={each.name: each.url for each in targets},
                ready_ms=round((time.monotonic() - self._started()) * 1000),
                watcher="polling" if settings.poll else WATCHER,
            )
        )
        running: list[tuple[str, Callable[[], Any]]] = [("pipeline", self._pipeline.run)]
        running += [(f"registrar {each.target.name}", each.run) for each in self._registrars]
        running.append(("public port", self._port.run))
        stale = Stale(self.bus, settings.root, settings.files)
        running.append(("settings", stale.run))
        if self._renew is not None:
            renewal = Renewal(self.bus, settings.root, self._registrars, self._renew)
            running.append(("credentials", renewal.run))
        if settings.public_url:
            check = partial(selfcheck.run, settings.public_url, self._kept, self.bus)
            running.append(("public URL", check))
        if beside is not None:
            running += beside.running()
        return [*running, *self.also]

    def _companions(
        self, pipeline: Pipeline, upms: Mapping[str, Upm], port: int, address: str
    ) -> Companions:
        """What runs beside the loop; *address* is how targets reach the public *port*."""
        loop = Loop(
            published=self._kept,
            redactor=self._redactor,
            pipeline=pipeline,
            registrars=self._registrars,
            upms=upms,
            quit=partial(self.end, INTERRUPTED),
        )
        return Companions(
            self._settings,
            self.bus,
            loop,
            self._journal,
            sockets=dashboard_sockets(self._settings.dashboard_port, port),
            address=address,
            trusted=self._trusted,
        )

    def _delivery(self, upm: Upm, where: Where) -> Delivery:
        """How revisions get into a target: by our address, or inside the plugin's JAR."""
        if self._plugin is None:
            return ByUri(upm, where)
        from devserver.datacenter.delivery import ByJar, Way
        from devserver.datacenter.hostlog import HostLog

        settings = self._settings
        named = (settings.host_log,) if settings.host_log else ()
        near = is_this_machine(upm.target.url)
        way = Way(
            by=settings.install,
            folder=settings.install_folder,
            artifacts=self._artifacts,
            address=where.public_url,
        )
        clean = self._redactor.text
        log = HostLog(self._plugin.module, named, clean) if near or named else None
        return ByJar(upm, self._plugin, self.bus, way, log)

    async def _simulator(self, stack: AsyncExitStack) -> Target:
        """Start the simulated host in this process, of the era that fits the descriptor."""
        from devserver.simulator import simulated_host

        profile = profile_for(self._sources.look())
        # A plugin's project has a product of its own, which will want its port when it starts.
        port = 0 if self._plugin is not None else None
        host = await stack.enter_async_context(
            simulated_host(profile=profile, port=port, or_free=True)
        )
        return Target(name=SIMULATOR, url=host.url, user="admin", dev=True)

    def _variables(self, targets: tuple[Target, ...], base_url: str) -> dict[str, Variables]:
        """For each target by name, what its rendering is given."""

        def of(target: Target) -> Variables:
            return lambda files: variables.for_target(
                self._settings, target, base_url=base_url, files=files, environ=os.environ
            )

        return {target.name: of(target) for target in targets}

    def _hold(self, event: Event) -> None:
        """Keep what a target is told to fetch: at a thousand saves a second 50 are soon over."""
        if isinstance(event, TargetChanged) and event.state is TargetState.REGISTERING:
            self._kept.hold(event.target, event.digest or "")

    async def _retire(self) -> tuple[str, ...]:
        """Let every target go at once; what stays installed, as `target: key`."""
        if self._registrars and self._code == INTERRUPTED:
            self.bus.publish(
                Notice(severity=Severity.INFO, message="stopping; Ctrl-C again leaves at once")
            )
        if self._port is not None:
            await self._port.answer()
        async with farewell.awaited(self.bus, self._kept), asyncio.TaskGroup() as tasks:
            for each in self._registrars:
                retiring = each.retire(SILENCE_SECONDS, patience=self._patience)
                tasks.create_task(retiring, name=f"retire {each.target.name}")
        return self._left()

    def _left(self) -> tuple[str, ...]:
        return tuple(
            f"{each.target.name}: {key}" for each in self._registrars for key in each.installed
        )


def profile_for(snapshot: Snapshot) -> str:
    """The simulator's profile that takes such a descriptor (DESIGN §4, `serve`)."""
    name = snapshot.descriptor.removesuffix(".j2")
    if name.endswith(".json"):
        return "connect"
    remote = any(
        mark in data
        for data in snapshot.files.values()
        for mark in (b"remote-plugin-container", b"<remote-app")
    )
    return "xml-era" if remote else "dc"


def _first(group: BaseExceptionGroup[UpmDevError]) -> UpmDevError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


@contextmanager
def _at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGINT, SIGTERM and SIGHUP call *stop* while the block runs."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)

"""The host's installer: four workers that download, judge and install (upm-protocol.md §2, §8)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from devserver.simulator import artefact, policy, refusal
from devserver.simulator.app import App
from devserver.simulator.faults import Fault, Script
from devserver.simulator.fetch import Artefact, fetch
from devserver.simulator.lifecycle import Lifecycle
from devserver.simulator.reach import Reach
from devserver.simulator.refusal import Refusal
from devserver.simulator.state import State
from devserver.simulator.tasks import Task

WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An accepted installation: of a URI, or of a file that was uploaded."""

    task: Task
    uri: str = ""
    upload: Artefact | None = None
    name: str | None = None
    fault: Fault | None = None
    """`endless`, `error` or `disable`: how this one is to end."""


class Installer:
    """Runs jobs; a task always ends, whatever a job meets."""

    def __init__(
        self,
        state: State,
        lifecycle: Lifecycle,
        reach: Reach,
        faults: Script,
        *,
        clock: Callable[[], float],
        install_time: float,
        loopback_allowed: bool,
        restart: Callable[[Fault], None],
    ) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._reach = reach
        self._faults = faults
        self._clock = clock
        self._install_time = install_time
        self._loopback_allowed = loopback_allowed
        self._restart = restart
        self._workers = asyncio.Semaphore(WORKERS)
        self._keys: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, job: Job, *, permitted: bool) -> None:
        """Bring the task to its end."""
        async with self._workers:
            began = time.perf_counter()
            if job.fault and job.fault.kind == "endless":
                self._state.tasks.installing(job.task.id)
                return
            try:
                refused = await self._install(job, began, permitted)
            finally:
                if job.upload:
                    job.upload.file.close()
            if refused:
                self._state.tasks.fail(job.task.id, refused, self._clock())

    async def _install(self, job: Job, began: float, permitted: bool) -> Refusal | None:
        state = self._state
        source = job.upload
        if source is None:
            if refused := await self._before_fetch(job):
                return refused
            fetched = await fetch(self._lifecycle.session, self._reach, job.uri)
            if isinstance(fetched, Refusal):
                return fetched
            source = fetched
        state.tasks.installing(job.task.id)
        with source.file:
            app = await self._read(source)
        if job.fault and job.fault.kind == "error":
            return Refusal(job.fault.sub_code, job.fault.message or job.fault.sub_code)
        if not permitted:
            return refusal.install("install.unpermitted", "You are not a system administrator.")
        if isinstance(app, Refusal):
            return app
        if refused := self._refuses(app):
            return refused
        # One installation of a key at a time: the second has to sign with the first one's secret.
        lock = self._keys.setdefault(app.key, asyncio.Lock())
        async with lock:
            if (left := self._install_time - (time.perf_counter() - began)) > 0:
                await asyncio.sleep(left)
            if refused := await self._lifecycle.install(app, job.task, job.name):
                return refused
            if job.fault and job.fault.kind == "disable":
                self._disable(app, job.fault.code, job.task.user)
            state.tasks.complete(job.task.id, app.key, self._clock())
            self._lifecycle.installed(app, job.task)
        return None

    def _disable(self, app: App, module: str, user: str) -> None:
        """What comes out of an installation when a class cannot be loaded."""
        if module:
            self._state.set_module(app.key, module, False, user=user, now=self._clock())
        else:
            self._state.set_enabled(app.key, False, user=user, now=self._clock())

    def _refuses(self, app: App) -> Refusal | None:
        state = self._state
        if state.safe_mode:
            return refusal.install("safe.mode", "The host is in safe mode.")
        if app.key in state.plugins and state.plugins[app.key].system:
            return Refusal(
                "upm.update.error.downgrade", "The Universal Plugin Manager cannot be replaced."
            )
        return policy.refuses(
            app, state.profile, state.product, loopback_allowed=self._loopback_allowed
        )

    async def _before_fetch(self, job: Job) -> Refusal | None:
        for fault in self._faults.take("fetch", job.uri):
            match fault.kind:
                case "latency" | "hang":
                    await asyncio.sleep(fault.ms / 1000 if fault.ms else 3600)
                    if fault.kind == "hang":
                        return refusal.install("response.exception", "Read timed out.")
                case "status":
                    code = "access.denied" if fault.status == 401 else "response.exception"
                    return refusal.install(code, f"{job.uri} answered {fault.status}.")
                case "error":
                    return Refusal(fault.sub_code, fault.message or fault.sub_code)
                case "restart" | "clock-skew":
                    self._restart(fault)
        return self._not_listed(job.uri)

    def _not_listed(self, uri: str) -> Refusal | None:
        """Why a URI that is not the Marketplace's is refused by this profile (§6.3)."""
        profile, state = self._state.profile, self._state
        if state.settings.private_listings is False:
            return refusal.install(
                "descriptor.not.from.marketplace",
                "Only apps of the Marketplace may be installed: private listings are switched off.",
            )
        parts = urlsplit(uri)
        if not profile.https or (self._loopback_allowed and policy.is_local(parts.hostname)):
            return None
        if parts.scheme != "https" or policy.is_local(parts.hostname):
            return refusal.install(
                "response.exception", f"{uri} cannot be reached: it has to be a public https URL."
            )
        return None

    async def _read(self, source: Artefact) -> App | Refusal:
        kinds = self._state.profile.kinds
        start = source.file.read(4)
        source.file.seek(0)
        name = source.name.lower()
        zipped = source.media_type in ("", "application/octet-stream", "application/java-archive")
        if start[:2] == b"PK" and (zipped or name.endswith((".jar", ".obr"))):
            from devserver.simulator import jars

            # Unpacking may take long, and the loop serves others meanwhile.
            return await asyncio.to_thread(jars.read, source.file, kinds)
        if name.endswith((".jar", ".obr")):
            return refusal.install(
                "install.failed", "Could not install the file. Check that the file is valid."
            )
        data = source.file.read(artefact.LARGEST + 1)
        if len(data) > artefact.LARGEST:
            return artefact.unknown_type(f"{source.name}, which is too large,")
        return artefact.recognise(data, source.name, source.media_type, kinds)

"""A simulated host at run time: its state, its clock, its jobs, and what tests ask of it."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from devserver.simulator import hooks, persistence, representations
from devserver.simulator.faults import Fault, Script
from devserver.simulator.gates import Caller, cookie_name
from devserver.simulator.hooks import Call, Callback, Sender
from devserver.simulator.identity import Identity
from devserver.simulator.installs import Installer, Job
from devserver.simulator.journal import Journal
from devserver.simulator.lifecycle import Lifecycle
from devserver.simulator.profile import Product, Profile
from devserver.simulator.reach import Reach, open_session
from devserver.simulator.refusal import Refusal
from devserver.simulator.state import Plugin, State
from devserver.simulator.users import DEFAULT_USERS, Role, User

_log = logging.getLogger(__name__)

SAVE_EVERY = 0.1

KEPT = 2000
"""How many callbacks are remembered."""


class SimulatedHost:
    """What `simulated_host` gives: a running host.

    `url` is its base URL (`http://localhost:2990/jira`), `state` what it holds, `callbacks` what it
    told apps, newest last.
    """

    def __init__(
        self,
        profile: Profile,
        product: Product,
        *,
        port: int,
        context: str,
        users: tuple[User, ...] = DEFAULT_USERS,
        reach: Reach,
        random: Random,
        install_time: float,
        loopback_allowed: bool,
        journal: Journal,
        names: Iterable[str] = (),
        kept_in: Path | None = None,
        base_url: str | None = None,
        callback_timeout: float = 5.0,
    ) -> None:
        self.profile = profile
        self.product = product
        self.port = port
        self.context = context
        self.origin = f"http://localhost:{port}"
        self.url = f"{self.origin}{context}"
        self.base_url = base_url or self.url
        """The configured base URL: what answers and callbacks say, wherever we really are."""
        self.names = frozenset({"localhost", "127.0.0.1", "::1", *names})
        """What a `Host` header may call us, for pages and for `/_simulator/`."""
        self.cookie = cookie_name(port)
        self.reach = reach
        self.install_time = install_time
        self.random = random
        self.state = State(profile, product, users=users, random=random)
        self.identity = Identity(product.name, random)
        if kept_in and (saved := persistence.read(kept_in)):
            persistence.restore(saved, self.state, self.identity, kept_in)
        self.faults = Script(Random(random.getrandbits(64)))
        self.journal = journal
        self.form_token = f"{random.getrandbits(128):032x}"
        self.callbacks: deque[Callback] = deque(maxlen=KEPT)
        self.skew = 0.0
        self.down_until = 0.0
        self._session = open_session(reach)
        self._sender = Sender(self._session, reach, callback_timeout)
        self._jobs: set[asyncio.Task[None]] = set()
        self._changed: list[asyncio.Future[None]] = []
        self._summaries: dict[str, tuple[Plugin, str]] = {}
        self._kept_in = kept_in
        self._saved = -1
        self._saving = asyncio.Lock()
        self.lifecycle = Lifecycle(
            self.state,
            self.me,
            self._session,
            self._sender,
            self.faults,
            clock=self.now,
            spawn=self.spawn,
            told=self._told,
            disturb=self.disturb,
        )
        self.installer = Installer(
            self.state,
            self.lifecycle,
            reach,
            self.faults,
            clock=self.now,
            install_time=install_time,
            loopback_allowed=loopback_allowed,
            restart=self.disturb,
        )

    @property
    def version(self) -> tuple[str, str]:
        """Of the product: version and build number."""
        return self.product.versions[self.profile.era]

    @property
    def me(self) -> hooks.Host:
        """How it introduces itself to apps."""
        return hooks.Host(
            base_url=self.base_url,
            product=self.product.name,
            server_version=self.version[1],
            description=f"Simulated Atlassian {self.product.title} at {self.base_url}",
            identity=self.identity,
        )

    async def public_key(self) -> str:
        """As payloads and `consumer-info` have it: PEM in the XML era, bare base64 for Connect."""
        if self.profile.callbacks == "jwt":
            return await self.identity.public_base64()
        return await self.identity.public_pem()

    def now(self) -> float:
        """The host's clock: seconds since the epoch, skewed where a fault says so."""
        return time.time() + self.skew

    def safe_mode(self, wanted: bool, *, keep: bool, user: str) -> None:
        """Enter or leave safe mode, and tell the apps that this switches."""
        before = dict(self.state.plugins)
        if wanted:
            self.state.enter_safe_mode(user=user, now=self.now())
        else:
            self.state.leave_safe_mode(keep=keep, user=user, now=self.now())
        for key, plugin in self.state.plugins.items():
            if plugin.enabled != before[key].enabled:
                self.lifecycle.tell_switched(plugin, user)

    # Jobs

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* in the background; `close` ends what is left."""
        job = asyncio.get_running_loop().create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._ended)

    def _ended(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()):
            # Nobody awaits a job; what broke in it is told here or nowhere.
            _log.error("a job of the simulated host failed", exc_info=error)
        self.changed()

    def run(self, job: Job, caller: Caller) -> None:
        """Start an accepted installation; somebody who is no system administrator learns only
        then that it is not theirs to do (upm-protocol.md §2.2)."""
        self.spawn(self.run_now(job, caller))

    async def run_now(self, job: Job, caller: Caller) -> None:
        """The same, and wait for its end."""
        try:
            await self.installer.run(job, permitted=caller.may(Role.SYSADMIN))
        except Exception as error:
            # Whatever it was, the task ends: clients poll without a limit.
            _log.exception("the installation of %s crashed", job.task.source)
            crashed = Refusal("upm.plugin.error.unexpected.exception", type(error).__name__)
            self.state.tasks.fail(job.task.id, crashed, self.now())

    def summaries(self) -> Iterator[str]:
        """The plugins' summaries as JSON, made once for each version of a plugin: 10,000 of them
        would otherwise take a second for each listing."""
        for key, plugin in self.state.plugins.items():
            known = self._summaries.get(key)
            if known is None or known[0] is not plugin:
                body = representations.summary(plugin, self.context, self.base_url)
                known = (plugin, _compact(body))
                self._summaries[key] = known
            yield known[1]

    def referral(self) -> str:
        """The number under which a 500 would be found in the log."""
        return f"{self.random.getrandbits(128):032x}"

    async def keep(self) -> None:
        """Save what is worth keeping as it changes, at most ten times a second."""
        if self._kept_in is None:
            return
        while True:
            if self._saved != self.state.changes:
                changes = self.state.changes
                await self._save(self._kept_in)
                self._saved = changes
                self.changed()
            await asyncio.sleep(SAVE_EVERY)

    async def wait_saved(self, *, within: float = 5.0) -> None:
        """Wait until `--state` has everything. Raises TimeoutError."""
        await self.wait(lambda: self._saved == self.state.changes, within=within)

    async def _save(self, path: Path) -> None:
        pem = await self.identity.private_pem()
        async with self._saving:  # the older of two must not be the one that stays
            text = persistence.dump(self.state, self.identity, pem)
            try:
                await asyncio.to_thread(persistence.write, path, text)
            except OSError as error:
                _log.error("the state cannot be kept in %s: %s", path, error)

    async def close(self) -> None:
        """Stop all jobs and hang up."""
        if self._kept_in:
            await self._save(self._kept_in)
        jobs = tuple(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self._session.close()
        await self.identity.close()

    # What went on

    def changed(self) -> None:
        """Wake whoever waits for something."""
        waiting, self._changed = self._changed, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _told(self, callback: Callback) -> None:
        self.callbacks.append(callback)
        self.changed()

    async def wait(self, condition: Callable[[], bool], *, within: float = 5.0) -> None:
        """Wait until *condition* holds. Raises TimeoutError after *within* seconds."""
        async with asyncio.timeout(within):
            while not condition():
                future = asyncio.get_running_loop().create_future()
                self._changed.append(future)
                await future

    async def installed(
        self, key: str, version: str | None = None, *, within: float = 5.0
    ) -> Plugin:
        """Wait until the app is installed (with that version), and return it."""

        def there() -> bool:
            plugin = self.state.plugins.get(key)
            return plugin is not None and version in (None, plugin.app.version)

        await self.wait(there, within=within)
        return self.state.plugins[key]

    async def called_back(
        self, event: str, key: str | None = None, *, count: int = 1, within: float = 5.0
    ) -> list[Callback]:
        """Wait until *event* was sent *count* times (to that app), and return these calls."""

        def sent() -> list[Callback]:
            return [
                each for each in self.callbacks if each.event == event and key in (None, each.app)
            ]

        await self.wait(lambda: len(sent()) >= count, within=within)
        return sent()

    async def send(self, call: Call) -> Callback:
        """Send a call as it is, past all faults: for the lab."""
        answer = await self._sender.send(call, self.now())
        self._told(answer)
        return answer

    # Faults

    def script(self, *faults: Fault) -> None:
        """Have these go wrong from now on, beside what is scripted already."""
        self.faults.add(faults)

    def disturb(self, fault: Fault) -> None:
        """Carry out a fault that concerns the host as a whole: `restart`, `clock-skew`."""
        if fault.kind == "clock-skew":
            self.skew = fault.ms / 1000
        elif fault.kind == "restart":
            self.restart(memory=fault.memory, down_ms=fault.down_ms)

    def restart(self, *, memory: bool = True, down_ms: int = 0) -> None:
        """Play a restart: tokens, tasks and sessions are gone; without *memory* the apps too."""
        self.state.restart(memory=memory)
        self.down_until = time.monotonic() + down_ms / 1000
        self.changed()

    @property
    def starting(self) -> bool:
        return time.monotonic() < self.down_until


_compact = json.JSONEncoder(separators=(",", ":")).encode
"""`json.dumps` with separators would make an encoder for each of 10,000 plugins."""

HOST = web.AppKey("HOST", SimulatedHost)

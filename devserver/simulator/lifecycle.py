"""What installing, enabling and removing an app means: the state changes and the app is told.

Connect's `installed` is synchronous and decides; everything else is told in the background and
decides nothing (upm-protocol.md §7).
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from aiohttp import ClientSession

from devserver.simulator import hooks
from devserver.simulator.app import App, Kind
from devserver.simulator.faults import Fault, Script
from devserver.simulator.hooks import Call, Callback, Sender
from devserver.simulator.refusal import Refusal
from devserver.simulator.state import Plugin, State
from devserver.simulator.tasks import Task

Spawn = Callable[[Coroutine[Any, Any, None]], None]

FAR = 3600.0
"""What "for ever" comes to, in seconds: every wait has a limit."""


class Lifecycle:
    """*spawn* runs something in the background; *told* hears of every callback that was made."""

    def __init__(
        self,
        state: State,
        host: hooks.Host,
        session: ClientSession,
        sender: Sender,
        faults: Script,
        *,
        clock: Callable[[], float],
        spawn: Spawn,
        told: Callable[[Callback], None],
        disturb: Callable[[Fault], None],
    ) -> None:
        self.session = session
        self._state = state
        self._host = host
        self._sender = sender
        self._faults = faults
        self._clock = clock
        self._spawn = spawn
        self._told = told
        self._disturb = disturb
        self._held: list[tuple[Call, Fault]] = []

    @property
    def _jwt(self) -> bool:
        return self._state.profile.callbacks == "jwt"

    async def install(self, app: App, task: Task, name: str | None) -> Refusal | None:
        """Install *app*; a Connect app is asked first, and may decide against it."""
        state = self._state
        previous = state.plugins.get(app.key)
        secret = None
        if app.handler and app.kind.remote and (refused := await self._ask_handler(app)):
            return refused
        if app.kind is Kind.CONNECT_JSON and app.authentication == "jwt":
            secret = f"{state.random.getrandbits(320):080x}"
            known = previous.secret if previous else None
            path = app.lifecycle_url("installed") or "/"
            call = await self._compose(app, "installed", path, task.user, secret, sign_with=known)
            answer = await self._deliver(call)
            if refused := hooks.decision(answer):
                return refused
        state.install(
            app, user=task.user, now=self._clock(), source=task.source, name=name, secret=secret
        )
        return None

    async def _ask_handler(self, app: App) -> Refusal | None:
        call = await self._webhook(app, "install-handler", app.handler or "/")
        return hooks.decision(await self._deliver(call))

    def installed(self, app: App, task: Task) -> None:
        """Tell the app what nobody waits for: the installation's webhooks."""
        plugin = self._state.plugins.get(app.key)
        if plugin is None or not app.kind.remote:
            return
        events: tuple[str, ...] = () if self._jwt else ("remote_plugin_installed",)
        if plugin.enabled:
            events += ("enabled",) if self._jwt else ("remote_plugin_enabled",)
        self._spawn(self._tell(plugin, events, task.user))

    def switch(self, key: str, enabled: bool, user: str) -> Plugin:
        """Enable or disable, and tell the app where that changed anything."""
        changed = self._state.set_enabled(key, enabled, user=user, now=self._clock())
        plugin = self._state.plugins[key]
        if changed:
            self.tell_switched(plugin, user)
        return plugin

    def uninstall(self, key: str, user: str) -> Plugin:
        plugin = self._state.uninstall(key, user=user, now=self._clock())
        if plugin.app.kind.remote:
            events: tuple[str, ...] = ("remote_plugin_disabled",)
            if self._jwt:
                events = ("disabled", "uninstalled")
            if not plugin.enabled:
                events = events[1:]
            self._spawn(self._tell(replace(plugin, enabled=False), events, user))
        return plugin

    def tell_switched(self, plugin: Plugin, user: str) -> None:
        """Tell a remote app that it was enabled or disabled."""
        if not plugin.app.kind.remote:
            return
        event = "enabled" if plugin.enabled else "disabled"
        name = event if self._jwt else f"remote_plugin_{event}"
        self._spawn(self._tell(plugin, (name,), user))

    async def _tell(self, plugin: Plugin, events: tuple[str, ...], user: str) -> None:
        for event in events:
            await self.fire(plugin, event, user)

    async def fire(
        self, plugin: Plugin, event: str, user: str | None, body: bytes | None = None
    ) -> list[Callback]:
        """Send *event* to every place where the app wants it; *body* for events with a payload."""
        app = plugin.app
        calls: list[Call] = []
        if path := app.lifecycle_url(event):
            rs256 = event in ("installed", "uninstalled") and self._rs256(app)
            calls.append(
                await self._compose(
                    app, event, path, user, plugin.secret, sign_with=plugin.secret, rs256=rs256
                )
            )
        for path in app.webhooks(event):
            if self._jwt:
                call = await self._compose(
                    app, event, path, user, None, sign_with=plugin.secret, rs256=False
                )
            else:
                call = await self._webhook(app, event, path)
            calls.append(call if body is None else replace(call, body=body))
        return [await self._deliver(call) for call in calls]

    def _rs256(self, app: App) -> bool:
        return self._state.profile.signed_install == "always" or app.signed_install

    async def _compose(
        self,
        app: App,
        event: str,
        path: str,
        user: str | None,
        secret: str | None,
        *,
        sign_with: str | None,
        rs256: bool | None = None,
    ) -> Call:
        return await hooks.compose_lifecycle(
            self._host,
            app,
            event,
            path,
            now=self._clock(),
            user=user,
            secret=secret,
            sign_with=sign_with,
            rs256=self._rs256(app) if rs256 is None else rs256,
        )

    async def _webhook(self, app: App, event: str, path: str) -> Call:
        nonce = f"{self._state.random.getrandbits(64):d}"
        return await hooks.compose_webhook(
            self._host, app, event, path, nonce=nonce, timestamp=int(self._clock())
        )

    async def _deliver(self, call: Call) -> Callback:
        """Send one call, as far as the faults let it."""
        copies = 1
        for fault in self._faults.take("callback", f"{call.event} {call.app}"):
            match fault.kind:
                case "lost":
                    return self._note(call, "lost by a fault")
                case "out-of-order":
                    self._held.append((call, fault))
                    self._spawn(self._release(call, fault))
                    return self._note(call, "held back by a fault")
                case "double":
                    copies = 2
                case "latency" | "late":
                    await asyncio.sleep(fault.ms / 1000)
                case "hang":
                    await asyncio.sleep(fault.ms / 1000 if fault.ms else FAR)
                case "restart" | "clock-skew":
                    self._disturb(fault)
        answer = await self._send(call)
        for _ in range(copies - 1):
            answer = await self._send(call)
        held, self._held = self._held, []
        for other, _ in held:
            await self._send(other)
        return answer

    async def _release(self, call: Call, fault: Fault) -> None:
        """Send a call that was held back, when no later one came to overtake it."""
        await asyncio.sleep(fault.ms / 1000 if fault.ms else 1.0)
        if (call, fault) in self._held:
            self._held.remove((call, fault))
            await self._send(call)

    async def _send(self, call: Call) -> Callback:
        answer = await self._sender.send(call, self._clock())
        self._told(answer)
        return answer

    def _note(self, call: Call, why: str) -> Callback:
        answer = Callback(
            app=call.app,
            event=call.event,
            url=call.url,
            status=None,
            ms=0.0,
            time=self._clock(),
            error=why,
        )
        self._told(answer)
        return answer

"""The state of a simulated host: plugins, settings, safe mode, tasks, audit log.

Pure: no clock, no network, no files. Time comes in as seconds, chance as a `Random`, and every
method is one thing that an administrator, a client or the installer does to a host.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from devserver.simulator.app import App, Kind, Module
from devserver.simulator.policy import compare_versions, needs_restart
from devserver.simulator.profile import Product, Profile
from devserver.simulator.tasks import Stage, Task, Tasks
from devserver.simulator.tokens import Tokens
from devserver.simulator.users import DEFAULT_USERS, User, Users

UPM_KEY = "com.atlassian.upm.atlassian-universal-plugin-manager-plugin"
LOG_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin as the host has it."""

    app: App
    enabled: bool = True
    user_installed: bool = True
    system: bool = False
    bundled: bool = False
    source: str = ""
    """Where its artefact came from: a URI or a file name."""
    display_name: str | None = None
    """`pluginName` of the install request: used where the descriptor has no name of its own."""
    secret: str | None = None
    """Of a Connect app: what `installed` told it last."""
    restart: str | None = None
    """`install`, `upgrade` or `remove`, when that waits for a restart."""
    pending: App | None = None
    """What an upgrade will run after the restart."""
    license: str | None = None

    @property
    def key(self) -> str:
        return self.app.key


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the audit log."""

    number: int
    time: float
    user: str
    text: str


@dataclass(frozen=True, slots=True)
class Update:
    """What an installation did. `previous` is what was there; `changed` is False where an older
    version was skipped, which a host does without a word (§2.8)."""

    plugin: Plugin
    previous: Plugin | None
    changed: bool


@dataclass(slots=True, kw_only=True)
class Settings:
    """Keys as in `GET /settings` (§4.5)."""

    values: dict[str, bool] = field(
        default_factory=lambda: {
            "pacDisabled": False,
            "requestsDisabled": False,
            "emailDisabled": False,
            "autoUpdateEnabled": False,
        }
    )
    private_listings: bool | None = None


class State:
    """Everything a restart does or does not survive."""

    def __init__(
        self,
        profile: Profile,
        product: Product,
        *,
        users: tuple[User, ...] = DEFAULT_USERS,
        random: Random,
    ) -> None:
        self.profile = profile
        self.product = product
        self.random = random
        self.users = Users(users, profile.captcha_after, random)
        self.tokens = Tokens(random)
        self.tasks = Tasks(profile.tasks_kept)
        self.settings = Settings(private_listings=profile.private_listings)
        self.plugins: dict[str, Plugin] = {}
        self.safe_mode = False
        self.before_safe_mode: dict[str, bool] = {}
        self.log: deque[LogEntry] = deque(maxlen=LOG_KEPT)
        self._logged = 0
        for plugin in self._shipped():
            self.plugins[plugin.key] = plugin

    def _shipped(self) -> list[Plugin]:
        upm = App(
            kind=Kind.JAR,
            key=UPM_KEY,
            name="Atlassian Universal Plugin Manager Plugin",
            version=self.profile.upm,
            vendor="Atlassian",
            vendor_url="https://www.atlassian.com",
            modules=(Module(key="upm", type="servlet", name="upm"),),
        )
        shipped = [Plugin(app=upm, user_installed=False, system=True)]
        for key in self.profile.bundled:
            app = App(
                kind=Kind.JAR,
                key=key,
                name=key.rsplit(".", 1)[-1].replace("-", " ").title(),
                version="2.0",
                vendor="Atlassian",
                modules=(Module(key="main", type="web-item", name="main"),),
            )
            shipped.append(Plugin(app=app, user_installed=False, bundled=True))
        return shipped

    # Tasks

    def accept(self, *, user: str, source: str, name: str, stage: Stage, now: float) -> Task:
        """Note that an installation was asked for."""
        bits = self.random.getrandbits(128)
        # A version 4 UUID, from our own chance so that a seed repeats it.
        bits = (bits & ~(0xF << 76) & ~(0x3 << 62)) | (4 << 76) | (2 << 62)
        text = f"{bits:032x}"
        task_id = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        return self.tasks.add(
            Task(id=task_id, user=user, source=source, name=name, started=now, stage=stage)
        )

    # Plugins

    def install(
        self,
        app: App,
        *,
        user: str,
        now: float,
        source: str = "",
        name: str | None = None,
        secret: str | None = None,
    ) -> Update:
        """Install or update; a disabled plugin stays disabled (§2.8)."""
        previous = self.plugins.get(app.key)
        if previous is None:
            plugin = Plugin(
                app=app,
                enabled=app.enabled_by_default,
                source=source,
                display_name=name,
                secret=secret,
            )
        elif not app.kind.remote and compare_versions(app.version, previous.app.version) < 0:
            return Update(previous, previous, changed=False)
        elif not app.kind.remote and needs_restart(previous.app, app, self.profile.restart_types):
            plugin = replace(previous, restart="upgrade", pending=app, source=source)
        else:
            plugin = replace(
                previous, app=app, source=source, display_name=name, secret=secret, restart=None
            )
        self.plugins[app.key] = plugin
        done = "Updated" if previous else "Installed"
        self.note(f'{done} app "{plugin.app.name}" ({app.key}) version {app.version}', user, now)
        return Update(plugin, previous, changed=True)

    def uninstall(self, key: str, *, user: str, now: float) -> Plugin:
        """Remove it; KeyError where it is not there. Ask `removal_refused` before."""
        plugin = self.plugins.pop(key)
        self.note(f'Uninstalled app "{plugin.app.name}" ({key})', user, now)
        return plugin

    def removal_refused(self, key: str) -> str | None:
        """The last part of the subCode that DELETE is refused with (§4.4); None: it is not."""
        plugin = self.plugins[key]
        if plugin.system or plugin.bundled or not plugin.user_installed:
            return "plugin.is.system"
        if plugin.license is not None and self.profile.era == "cloud":
            return "plugin.not.uninstallable"
        return None

    def set_enabled(self, key: str, enabled: bool, *, user: str, now: float) -> bool:
        """Whether that changed anything."""
        plugin = self.plugins[key]
        if plugin.enabled == enabled:
            return False
        self.plugins[key] = replace(plugin, enabled=enabled)
        done = "Enabled" if enabled else "Disabled"
        self.note(f'{done} app "{plugin.app.name}" ({key})', user, now)
        return True

    def set_module(self, key: str, module: str, enabled: bool, *, user: str, now: float) -> None:
        """KeyError where there is no such module."""
        plugin = self.plugins[key]
        if module not in {each.key for each in plugin.app.modules}:
            raise KeyError(module)
        modules = tuple(
            replace(each, enabled=enabled) if each.key == module else each
            for each in plugin.app.modules
        )
        self.plugins[key] = replace(plugin, app=replace(plugin.app, modules=modules))
        done = "Enabled" if enabled else "Disabled"
        self.note(f'{done} module "{module}" of app {key}', user, now)

    def set_license(self, key: str, raw: str | None) -> Plugin:
        plugin = self.plugins[key] = replace(self.plugins[key], license=raw)
        return plugin

    # The host as a whole

    def enter_safe_mode(self, *, user: str, now: float) -> None:
        """Disable what users installed, remembering what was enabled."""
        self.before_safe_mode = {key: each.enabled for key, each in self.plugins.items()}
        for key, plugin in self.plugins.items():
            if plugin.user_installed:
                self.plugins[key] = replace(plugin, enabled=False)
        self.safe_mode = True
        self.note("Entered safe mode", user, now)

    def leave_safe_mode(self, *, keep: bool, user: str, now: float) -> None:
        """*keep*: leave everything as it is now; else as it was before."""
        if not keep:
            for key, enabled in self.before_safe_mode.items():
                if key in self.plugins:
                    self.plugins[key] = replace(self.plugins[key], enabled=enabled)
        self.safe_mode = False
        self.before_safe_mode = {}
        self.note("Left safe mode", user, now)

    def set_setting(self, key: str, value: bool, *, user: str, now: float) -> None:
        """Change a setting; unknown and locked ones stay as they are."""
        if key == "connectDeveloperListingsEnabled":
            if self.settings.private_listings is None or self.profile.listings_locked:
                return
            self.settings.private_listings = value
        elif key in self.settings.values:
            self.settings.values[key] = value
        else:
            return
        self.note(f"Set {key} to {str(value).lower()}", user, now)

    def cancel_restart(self, key: str) -> bool:
        """Forget what waits for a restart; whether anything did."""
        plugin = self.plugins[key]
        self.plugins[key] = replace(plugin, restart=None, pending=None)
        return plugin.restart is not None

    def shown_settings(self) -> Mapping[str, bool]:
        """What `GET /settings` lists."""
        shown = dict(self.settings.values)
        if self.profile.listings_shown and self.settings.private_listings is not None:
            shown["connectDeveloperListingsEnabled"] = self.settings.private_listings
        return shown

    def restart(self, *, memory: bool) -> None:
        """What a restart does: tokens, tasks and sessions go; without *memory* plugins go too."""
        self.tokens.forget()
        self.tasks.clear()
        self.users.forget_sessions()
        if not memory:
            self.plugins = {each.key: each for each in self._shipped()}
            return
        for key, plugin in tuple(self.plugins.items()):
            if plugin.restart == "upgrade" and plugin.pending is not None:
                self.plugins[key] = replace(plugin, app=plugin.pending, pending=None, restart=None)

    @property
    def changes(self) -> int:
        """Grows with everything that is worth keeping."""
        return self._logged

    def restore_log(self, entries: list[LogEntry]) -> None:
        self.log.extend(entries)
        self._logged = entries[-1].number if entries else 0

    def note(self, text: str, user: str, now: float) -> None:
        self._logged += 1
        self.log.append(LogEntry(self._logged, now, user, text))

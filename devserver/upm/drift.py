"""Whether a target still has what we installed: gone, replaced, switched off, or as it was."""

from dataclasses import dataclass

from devserver.errors import CredentialsRejected, TargetError
from devserver.model import Descriptor, TargetState
from devserver.upm import blame
from devserver.upm.answers import Plugin
from devserver.upm.client import Upm
from devserver.upm.delivery import Delivery
from devserver.upm.pace import Limits
from devserver.upm.progress import Progress
from devserver.upm.warm import WarmToken


@dataclass(frozen=True, slots=True)
class Drifted:
    """It is not what we installed; `by` is what somebody put in its place, None: nothing."""

    by: Plugin | None


class Watchman:
    """Looks at what one target lists of ours, and says what changed without us."""

    def __init__(
        self, upm: Upm, delivery: Delivery, progress: Progress, warm: WarmToken, limits: Limits
    ) -> None:
        self._upm = upm
        self._delivery = delivery
        self._progress = progress
        self._warm = warm
        self._limits = limits
        self._disabled = False

    async def look(self, there: Descriptor) -> Drifted | None:
        """Ask whether the target still has what we put *there*; None: it has, or cannot say."""
        try:
            await self._warm.ready()
            plugin = await self._upm.plugin(there.key)
        except CredentialsRejected as error:
            self._progress.tell_error(TargetState.REJECTED, error)
            return None
        except TargetError as error:
            if self._progress.last is not TargetState.UNAVAILABLE:
                wait = self._limits.check
                self._progress.tell_error(TargetState.UNAVAILABLE, error, retry_in=wait)
            return None
        name = self._upm.target.name
        if plugin is None:
            self._say_drifted(*blame.vanished(name, there))
            return Drifted(None)
        if not self._delivery.is_there(plugin, there):
            self._say_drifted(*blame.replaced(name, there, plugin))
            return Drifted(plugin)
        self.see(plugin)
        if self._progress.last is TargetState.UNAVAILABLE:
            self._progress.tell_back()
        return None

    def see(self, plugin: Plugin) -> None:
        """Say once that the target has switched our app off."""
        if not plugin.enabled and not self._disabled:
            target = self._upm.target
            self._progress.warn(
                f"{plugin.key} is installed on {target.name} but disabled there",
                f"enable it at {target.url}/plugins/servlet/upm",
            )
        self._disabled = not plugin.enabled

    def _say_drifted(self, code: str, reason: str, remedy: str) -> None:
        self._progress.tell(TargetState.DRIFTED, code=code, reason=reason, remedy=remedy)

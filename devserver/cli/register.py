"""`upm-dev register`: once, until every target has said what became of it; for scripts and CI."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from devserver.cli import consent, options
from devserver.errors import (
    WORST_FIRST,
    CredentialsRejected,
    NotConfirmed,
    TargetError,
    TargetRefused,
    TargetUnavailable,
    UsageError,
)

if TYPE_CHECKING:
    from devserver.events import Event
    from devserver.settings import Settings

EPILOG = """\b
Exit codes:
  0 confirmed on every target    5 credentials rejected
  1 the descriptor has errors    6 refused by the target
  2 usage or settings            7 installed, but not confirmed
  3 could not start              4 target unavailable, or no answer within --timeout
With several targets that end differently: the first of 5, 6, 4, 7.
"""


@click.command(epilog=EPILOG)
@options.project
@options.shared(
    "target",
    "user",
    "port",
    "host",
    "public_url",
    "json",
    "trust",
    "log_file",
    "timeout",
    *options.PLUGIN,
    "verbose",
    "quiet",
    "no_color",
    *consent.FLAGS,
)
def command(project: Path, **given: object) -> None:
    """Register PROJECT's descriptor with its targets once, and wait for the proof.

    The descriptor is served while that lasts, and the app stays installed. Where `upm-dev serve` of
    the same project runs, it is left to that, and its result is waited for.
    """
    settings = options.settings_of(project, {**given, "keep": True})
    if not settings.targets:
        raise UsageError(
            "there is no target to register with",
            remedy="give --target URL, or write one under [targets.NAME] in upm-dev.toml",
        )
    from devserver.cli import beside

    if beside.somebody(settings) is not None:
        raise SystemExit(beside.await_registration(settings))
    raise SystemExit(_register(settings, given))


class Endings:
    """What became of the targets so far; `code` is the exit code once all have ended."""

    def __init__(self, targets: Iterable[str]) -> None:
        self._ended: dict[str, type[TargetError] | None] = {}
        self._awaited = set(targets)
        self.is_invalid = False

    def hear(self, event: "Event") -> None:
        from devserver.events import Checked, TargetChanged
        from devserver.model import TargetState

        ends: dict[TargetState, type[TargetError] | None] = {
            TargetState.CONFIRMED: None,
            TargetState.RESTART_NEEDED: None,
            TargetState.UNCONFIRMED: NotConfirmed,
            TargetState.REFUSED: TargetRefused,
            TargetState.REJECTED: CredentialsRejected,
        }
        match event:
            case Checked() if event.errors:
                self.is_invalid = True
            case TargetChanged() if event.state in ends:
                self._ended[event.target] = ends[event.state]
            case TargetChanged():
                self._ended.pop(event.target, None)

    @property
    def has_ended(self) -> bool:
        return self.is_invalid or self._awaited <= self._ended.keys()

    @property
    def code(self) -> int:
        """As things stand; a target that has not ended is unavailable."""
        if self.is_invalid:
            return 1
        found = {self._ended.get(each, TargetUnavailable) for each in self._awaited}
        return next((each.exit_code for each in WORST_FIRST if each in found), 0)


def _register(settings: "Settings", given: dict[str, object]) -> int:
    import asyncio

    from devserver.cli.serve import serving

    endings = Endings(each.name for each in settings.targets)

    async def run() -> int:
        def hear(event: "Event") -> None:
            endings.hear(event)
            if endings.has_ended:
                serve.end(endings.code)

        loop = asyncio.get_running_loop()
        timer = loop.call_later(settings.timeout, lambda: serve.end(endings.code))
        try:
            with serve.bus.listening(hear):
                return await serve.run()
        finally:
            timer.cancel()

    with serving(settings, given) as serve:
        return asyncio.run(run())

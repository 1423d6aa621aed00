"""`upm-dev register`: once, until every target has said what became of it; for scripts and CI."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from devserver.cli import beside, consent, once, options
from devserver.cli.endings import Endings, worse

if TYPE_CHECKING:
    from devserver.events import Event
    from devserver.settings import Settings
    from devserver.upm.journal import Serving

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
    once.require_targets(settings, "register with")
    found = beside.serving(settings)
    code, rest = _beside(found, settings) if found is not None else (0, settings)
    if rest.targets and code != 1:
        code = worse(code, _register(rest, given))
    elif settings.json:
        from devserver.events import Stopped, to_json

        click.echo(json.dumps(to_json(Stopped(exit_code=code))))
    raise SystemExit(code)


def _beside(found: "Serving", settings: "Settings") -> "tuple[int, Settings]":
    """The exit code for the targets that a running `serve` has, and the settings for the others."""
    theirs = beside.targets_of(found, settings)
    rest = tuple(each for each in settings.targets if each not in theirs.values())
    if not theirs:
        return 0, settings
    once.say(f"upm-dev serve (process {found.pid}) keeps it registered", err=True)
    endings = Endings(theirs)
    beside.await_endings(found, settings, theirs, endings)
    return endings.code, replace(settings, targets=rest)


def _register(settings: "Settings", given: dict[str, object]) -> int:
    import asyncio

    from devserver import eventloop
    from devserver.cli.serve import serving
    from devserver.events import Checked, TargetChanged

    endings = Endings(each.name for each in settings.targets)

    async def run() -> int:
        def hear(event: "Event") -> None:
            match event:
                case Checked() if event.errors:
                    endings.is_invalid = True
                case TargetChanged():
                    endings.note(event.target, event.state)
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
        return eventloop.run(run())

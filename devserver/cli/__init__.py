"""`upm-dev`: the commands by name, and the one place that shows an error and picks an exit code.

A command's module is imported when the command runs, and imports what is heavy when it needs it:
`--help` loads neither aiohttp nor lxml. Diagnostics and results go to stdout, all else to stderr.

Exit codes: 0 fine, 1 a check failed, 2 usage or settings, 3 could not start, 4 target unavailable,
5 credentials rejected, 6 refused, 7 not confirmed, 130 interrupted (`errors`), 141 the reader of
the output is gone.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from click.exceptions import Exit, NoSuchCommand

from devserver import __version__, colours
from devserver.cli import streams
from devserver.errors import INTERRUPTED, UpmDevError

COMMANDS: Mapping[str, str] = {
    "init": "Make a new project from a starter.",
    "serve": "Serve the descriptor and register it on every save.",
    "validate": "Find the mistakes in descriptors, templates and projects.",
    "render": "Print the exact bytes that would be served.",
    "register": "Register the descriptor once, wait for the proof, leave it there.",
    "unregister": "Take the app, or what a crash left, away from its targets.",
    "plan": "Show the requests that would be sent, and what they would change.",
    "status": "Show what the targets run, whose it is, and what is left over.",
    "doctor": "Look for what stands between the project and its targets.",
    "diff": "Compare two descriptors, as modules.",
    "explain": "Say why something was reported, and what to do.",
    "simulator": "Run the simulated host on its own.",
    "callback": "Send an app a genuine callback, or one it must not accept.",
    "login": "Keep a target's secret in the keyring.",
    "logout": "Take a target's secret out of the keyring.",
}
"""Name (also the module's, with `_` for `-`) to what it does, in the order of `--help`.

Each module has its click command as `command`.
"""


class Commands(click.Group):
    """The commands of `COMMANDS`, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f"devserver.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as exc:
            raise NoSuchCommand(exc.command_name, possibilities=COMMANDS, ctx=ctx) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table: importing them all would take longer than reading."""
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **more: Any) -> Any:
        streams.open_closed()
        return super().main(*args, **more)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _ending():  # --help and --version write here
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _ending():
            return super().invoke(ctx)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each option can be set as UPM_DEV_<OPTION> in the environment or in .env.",
)
@click.version_option(__version__, prog_name="upm-dev", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Keep an Atlassian app descriptor live while it is being written.

    Renders it from a template, validates it, serves it, registers it with a host's UPM on every
    save, and says "confirmed" when the host has proved that it runs it.
    """
    ctx.color = colours.wish(os.environ)


@contextmanager
def _ending() -> Iterator[None]:
    """Show what goes wrong in the block, and turn it into an exit code."""
    try:
        with streams.writing():
            yield
    except UpmDevError as error:
        _show(error)
        raise Exit(error.exit_code) from error
    except (KeyboardInterrupt, click.Abort) as exc:
        raise Exit(INTERRUPTED) from exc


def _show(error: UpmDevError) -> None:
    """Write what went wrong and what to do to stderr: two lines, more for mistakes in settings."""
    from devserver import redact
    from devserver.descriptor.visible import one_line
    from devserver.settings import SettingsInvalid

    if isinstance(error, SettingsInvalid):
        from devserver.descriptor import report

        wish = click.get_current_context().find_root().color
        colour = colours.wanted(wish, sys.stderr)
        shown = report.text(error.diagnostics, error.sources, colour=colour)
        click.echo(redact.text(shown), err=True)
        return
    code = f" [{error.code}]" if error.code else ""
    reason = one_line(redact.text(error.reason))
    click.echo(f"{click.style('error', fg='red', bold=True)}{code}: {reason}", err=True)
    if error.remedy:
        click.echo(f"  {one_line(redact.text(error.remedy))}", err=True)

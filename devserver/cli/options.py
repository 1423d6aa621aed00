"""The options that several commands share, and the settings that they lead to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from devserver.settings import Settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _no_color(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    """Let errors be plain as well, which are shown by the outermost context."""
    if value:
        ctx.color = ctx.find_root().color = False
    return value


OPTIONS: Mapping[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "target": (
        ("--target",),
        {
            "multiple": True,
            "metavar": "URL|NAME",
            "help": "Host to register with: a URL, or a name from the settings. Repeatable.",
        },
    ),
    "user": (("--user",), {"metavar": "NAME", "help": "Administrator on the targets."}),
    "port": (
        ("--port",),
        {"type": int, "metavar": "PORT", "help": "Port to serve on, 0 for any free one (8000)."},
    ),
    "dashboard_port": (
        ("--dashboard-port",),
        {
            "type": int,
            "metavar": "PORT",
            "help": "Port of the dashboard, 0 for any free one (the one after --port).",
        },
    ),
    "host": (
        ("--host",),
        {"metavar": "ADDRESS", "help": "Address to listen on (127.0.0.1 and ::1)."},
    ),
    "public_url": (
        ("--public-url",),
        {"metavar": "URL", "help": "How targets reach us, where not http://localhost:PORT."},
    ),
    "json": (
        ("--json",),
        {"is_flag": True, "help": "Write JSON to stdout, and nothing else there."},
    ),
    "trust": (
        ("--trust",),
        {"is_flag": True, "help": "Run the commands that the settings name, without asking."},
    ),
    "log_file": (
        ("--log-file",),
        {"type": click.Path(dir_okay=False), "metavar": "FILE", "help": "Write a log there too."},
    ),
    "open": (("--open",), {"is_flag": True, "help": "Open the dashboard in the browser."}),
    "poll": (
        ("--poll",),
        {"is_flag": True, "help": "Look for changes by polling: for file systems without events."},
    ),
    "yes": (
        ("--yes",),
        {
            "is_flag": True,
            "help": "Log in to, and write to, targets that are not this machine.",
        },
    ),
    "take_over": (
        ("--take-over",),
        {
            "is_flag": True,
            "help": "Replace an app, or a version, that upm-dev did not install.",
        },
    ),
    "allow_key_change": (
        ("--allow-key-change",),
        {
            "is_flag": True,
            "help": "Install under another key when it changes, and remove the one before.",
        },
    ),
    "check_every": (
        ("--check-every",),
        {
            "type": float,
            "metavar": "SECONDS",
            "help": "Look whether targets still have what was installed (15).",
        },
    ),
    "timeout": (
        ("--timeout",),
        {"type": float, "metavar": "SECONDS", "help": "Limit for one installation (30)."},
    ),
    "keep": (("--keep",), {"is_flag": True, "help": "Leave the app installed at exit."}),
    "resources": (
        ("--resources",),
        {"is_flag": True, "help": "JAR: put in scripts, styles and templates of the sources too."},
    ),
    "classes": (
        ("--classes",),
        {"is_flag": True, "help": "JAR: put in classes that are newer in target/classes."},
    ),
    "install": (
        ("--install",),
        {"metavar": "WAY", "help": "JAR: how it gets in: auto, upload or uri."},
    ),
    "install_folder": (
        ("--install-folder",),
        {
            "type": click.Path(file_okay=False),
            "metavar": "DIR",
            "help": "JAR: put it into this folder of the host's, which is read at its start.",
        },
    ),
    "host_log": (
        ("--host-log",),
        {
            "type": click.Path(dir_okay=False),
            "metavar": "FILE",
            "help": "The product's log (target/*/home/log/*.log of an SDK project).",
        },
    ),
    "uninstall": (
        ("--uninstall",),
        {"is_flag": True, "help": "JAR: take the app away at exit; it stays otherwise."},
    ),
    "verbose": (("-v", "--verbose"), {"count": True, "help": "Say more; -vv even more."}),
    "quiet": (("-q", "--quiet"), {"is_flag": True, "help": "Say only what went wrong."}),
    "no_color": (
        ("--no-color",),
        {"is_flag": True, "callback": _no_color, "help": "No colours (also: NO_COLOR)."},
    ),
}
"""Parameter name to the option's names and how click declares it.

None has a default or an environment name of click's: `settings` resolves both, since `.env` and
the settings files come in between.
"""


def shared(*names: str) -> Callable[[Decorated], Decorated]:
    """Declare these of `OPTIONS` on a command, in this order."""

    def declare(command: Decorated) -> Decorated:
        for name in reversed(names):
            flags, how = OPTIONS[name]
            command = click.option(*flags, name, **how)(command)
        return command

    return declare


PLUGIN = ("resources", "classes", "install", "install_folder", "host_log")
"""What only a plugin in a JAR has."""


def project(command: Decorated) -> Decorated:
    """Declare the argument PROJECT: a folder, or a descriptor or template in one."""
    kind: click.Path = click.Path(path_type=Path)
    return click.argument("project", type=kind, default=".")(command)


def settings_of(project: Path, given: Mapping[str, object]) -> "Settings":
    """The settings for a command's parameters; those that are not shared options are passed over.

    Warnings are written to stderr.

    Raises:
        SettingsInvalid: they have mistakes.
    """
    import os

    from devserver.settings import load

    flags = {name: value for name, value in given.items() if name in OPTIONS}
    settings = load(project, flags, os.environ)
    if not settings.quiet:
        for each in settings.warnings:
            click.echo(f"warning: {each.position}: {each.message}; {each.fix}", err=True)
    return settings

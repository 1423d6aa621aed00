"""`upm-dev serve`: the loop, until Ctrl-C."""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from devserver.cli import consent, once, options, questions
from devserver.errors import UsageError

if TYPE_CHECKING:
    from devserver.datacenter.plugin import Plugin
    from devserver.events import Event
    from devserver.model import Target
    from devserver.redact import Redactor
    from devserver.run import Serve
    from devserver.settings import Settings

EPILOG = """\b
Examples:
  upm-dev serve                                  in a project's folder; starts a simulated host
  upm-dev serve --target http://localhost:2990/jira
  upm-dev serve app --json --port 0              events as JSON Lines, for scripts
"""

SWITCH_SECONDS = 0.0005
"""How long a thread that has read a file waits for its turn, while two are importing."""
WITHOUT_AIOHTTP = (
    "devserver.pipeline",
    "devserver.descriptor.xml",
    "devserver.descriptor.report",
    "devserver.descriptor.catalogue",
    "devserver.descriptor.rules.connect_kinds",
    "devserver.callbacks.record",
    "devserver.upm.blame",
    "devserver.upm.journal",
    "devserver.terminal.screen",
)
"""What the loop is made of that can be imported beside aiohttp, since it imports nothing of it."""


@click.command(epilog=EPILOG)
@options.project
@options.shared(
    "target",
    "user",
    "port",
    "dashboard_port",
    "host",
    "public_url",
    "json",
    "trust",
    "log_file",
    "open",
    "poll",
    "timeout",
    "keep",
    *options.PLUGIN,
    "uninstall",
    "verbose",
    "quiet",
    "no_color",
    *consent.FLAGS,
    "check_every",
)
def command(project: Path, **given: object) -> None:
    """Serve PROJECT's descriptor and register it with its targets on every save.

    PROJECT is a folder, or a template or descriptor in one. With no target configured a simulated
    host is started in this process.
    """
    # What is imported stays: looking for garbage in it costs 30 ms of the start.
    gc.disable()
    from devserver import eventloop

    with _meanwhile("aiohttp"):
        settings = options.settings_of(project, given)
        for each in WITHOUT_AIOHTTP:
            import_module(each)
    with serving(settings, given, alone=False) as serve:
        gc.freeze()
        gc.enable()
        raise SystemExit(eventloop.run(serve.run()))


@contextmanager
def _meanwhile(module: str) -> Iterator[None]:
    """Import *module* in a thread while the block runs, which must not import of it.

    aiohttp reads the system's certificates twice when it is imported, and needs no interpreter for
    that: 40 ms in which the other half can be loaded.
    """
    loading = threading.Thread(target=import_module, args=(module,))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    loading.start()
    try:
        yield
    finally:
        loading.join()
        sys.setswitchinterval(interval)


@contextmanager
def serving(
    settings: "Settings", given: Mapping[str, object], *, alone: bool = True
) -> "Iterator[Serve]":
    """The loop of a project with its faces, not yet running; *given* are the command's flags.

    *alone*: without the app and the dashboard.
    """
    import asyncio

    from devserver import credentials, openfiles, trust
    from devserver.redact import Redactor
    from devserver.run import Serve
    from devserver.settings import load
    from devserver.sources import Sources
    from devserver.upm.journal import Journal, default_path

    openfiles.raise_limit()
    descriptor = once.descriptor_of(settings)
    redactor = Redactor()
    trusted = trust.allow(settings, questions.confirm())
    settings = trust.believed(settings, trusted)
    prompt = questions.secret()

    def find(target: "Target") -> credentials.Credentials:
        try:
            found = credentials.find(target, settings, trusted=trusted, prompt=prompt)
        except click.Abort:  # Ctrl-C in place of an answer is as good as any other
            raise asyncio.CancelledError from None
        redactor.add(*found.secrets)
        return found

    def renew(target: "Target") -> credentials.Credentials:
        flags = {name: value for name, value in given.items() if name in options.OPTIONS}
        anew = load(settings.root, flags, os.environ)
        named = next((each for each in anew.targets if each.name == target.name), target)
        trusted = trust.allow(anew, None)
        found = credentials.find(named, anew, trusted=trusted)
        redactor.add(*found.secrets)
        return found

    plugin = once.plugin_of(settings)
    if plugin is not None and not settings.targets:
        settings = _with_product(settings, plugin, str(given.get("user") or "admin"))
    sources = Sources(settings.root, descriptor, settings.variables_files, plugin)
    journal = Journal(default_path(), project=str(settings.root))
    serve = Serve(
        settings,
        sources,
        find,
        started=lambda: _started() + questions.waited(),
        journal=journal,
        permissions=consent.of(settings, questions.confirm()),
        trusted=trusted,
        alone=alone,
        plugin=plugin,
        redactor=redactor,
        renew=None if alone else renew,
    )
    with ExitStack() as stack:
        stack.callback(journal.close)
        for face in _faces(serve, settings, redactor, stack):
            stack.enter_context(serve.bus.listening(face))
        yield serve


def _with_product(settings: "Settings", plugin: "Plugin", user: str) -> "Settings":
    """The settings with the product that runs for this project as target, where there is one.

    On a terminal the user is asked; a script that wants another one names it by --target.
    """
    from devserver import eventloop
    from devserver.datacenter import products
    from devserver.descriptor.visible import one_line
    from devserver.model import Target
    from devserver.surroundings import read_pom

    found = eventloop.run(products.running(products.places(read_pom(plugin.module))))
    if found is None:
        return settings
    ask = questions.confirm(default=True)
    answers = f"{one_line(found.product)} answers at {one_line(found.url)}"
    if ask is not None:
        if not ask(f"{answers}. Install there?"):
            return settings
    elif not settings.quiet:
        click.echo(f"{answers}: it is the target", err=True)
    target = Target(name=found.product, url=found.url, user=user, dev=True)
    return replace(settings, targets=(target,))


def _faces(
    serve: "Serve", settings: "Settings", redactor: "Redactor", stack: ExitStack
) -> "list[Callable[[Event], None]]":
    """Who shows the events: the terminal or JSON Lines on stdout, and the log file."""
    from devserver import colours
    from devserver.terminal.screen import MOST_WAITING, JsonLines, LineWriter, Screen
    from devserver.terminal.view import View

    def writer(stream: TextIO, most: int | None = None) -> LineWriter:
        return stack.enter_context(LineWriter(stream, most=most))

    faces: list[Callable[[Event], None]] = []
    if settings.log_file is not None:
        try:
            log = stack.enter_context(settings.log_file.open("a", encoding="utf-8"))
        except OSError as exc:
            raise UsageError(
                f"the log file {settings.log_file} cannot be written: {exc.strerror}",
                remedy="give --log-file a file in a folder that is there and is yours",
            ) from exc
        faces.append(JsonLines(writer(log), redactor))
    if settings.json:
        faces.append(JsonLines(writer(sys.stdout), redactor))
        return faces
    colour = colours.wanted(settings.colour, sys.stdout)
    view = View(
        frames=partial(serve.frames, colour=colour),
        colour=colour,
        verbose=settings.verbose,
        quiet=settings.quiet,
        keys=serve.takes_commands and _somebody_types(),
        keeps=serve.keeps,
        once=not serve.takes_commands,
    )
    screen = Screen(writer(sys.stdout, MOST_WAITING), view, redactor)
    faces.append(screen)
    if view.keys:
        from devserver.terminal.keys import Keys

        serve.also.append(("keys", Keys(sys.stdin, screen, lambda: serve.do).run))
    return faces


def _somebody_types() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")


def _started() -> float:
    """When this process began, by `time.monotonic()`: imports are part of what users feel."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):  # no Linux: the time that the interpreter has used so far
        return time.monotonic() - time.process_time()
    return time.monotonic() - (since_boot - int(fields[19]) / ticks)

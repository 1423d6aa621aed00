"""Keys on the terminal: a letter and Enter. Lines, not raw keys, so the terminal stays as it is.

Off where stdin is no terminal; while we are in the background, what is typed is the shell's.
"""

import asyncio
import os
from collections.abc import Callable
from typing import TextIO

from devserver.commands import Agree, Command, Do, OpenDashboard, Pause, Quit, RegisterAgain
from devserver.descriptor.diff import sentence
from devserver.descriptor.visible import one_line
from devserver.events import State
from devserver.terminal.screen import Screen

HELP = {
    "r": "register again with every target; r NAME: with that one",
    "y": "yes, go on: to what a target was refused for want of your word; y NAME: that one",
    "p": "pause, so that saves wait; again: go on",
    "o": "open the dashboard",
    "d": "what the last revision changed",
    "t": "the targets and where they are",
    "u": "the addresses",
    "c": "clear the screen",
    "q": "quit, and unregister",
    "h": "this help",
}
CLEAR = "\x1b[2J\x1b[3J\x1b[H"
BACKGROUND_SECONDS = 0.5


def asked(typed: str, state: State) -> Command | None:
    """The command that *typed* stands for, if it is one. Pure."""
    key, _, name = typed.partition(" ")
    target = name.strip() or None
    if target is not None and target not in state.targets:
        return None
    match key, target:
        case "r", _:
            return RegisterAgain(target)
        case "y", _:
            return Agree(target)
        case "p", None:
            return Pause(not state.paused)
        case "o", None:
            return OpenDashboard()
        case "q", None:
            return Quit()
        case _:
            return None


def told(key: str, state: State) -> list[str] | None:
    """What is shown for *key*; None where it is none that shows something. Pure."""
    match key:
        case "h":
            return ["", *(f"  {name} + Enter  {words}" for name, words in HELP.items()), ""]
        case "u":
            urls = state.started.urls if state.started else {}
            return ["", *(f"  {name:<10}  {one_line(url)}" for name, url in urls.items()), ""]
        case "t":
            return ["", *(_table(state) or ["  no target yet"]), ""]
        case "d":
            if state.published is None:
                return ["", "  nothing is published yet", ""]
            changes = [f"    {one_line(sentence(each))}" for each in state.published.diff]
            return ["", f"  {state.published.revision}", *(changes or ["    same modules"]), ""]
        case "c":
            return [CLEAR]
        case _:
            return None


def _table(state: State) -> list[str]:
    """Every target in a row: its name, where it is, its address; below it, what it waits for."""
    rows = [
        (
            one_line(each.name),
            " ".join(filter(None, (each.state.value, each.last.revision if each.last else None))),
            each,
        )
        for each in state.targets.values()
    ]
    names = max((len(name) for name, _, _ in rows), default=0)
    states = max((len(words) for _, words, _ in rows), default=0)
    lines = []
    for name, words, each in rows:
        lines.append(f"  {name:<{names}}  {words:<{states}}  {one_line(each.url)}")
        if each.last and each.last.reason:
            lines.append(f"    {one_line(each.last.reason)}")
    return lines


class Keys:
    """Hears what is typed on *stream*, and shows or asks for what it means."""

    def __init__(self, stream: TextIO, screen: Screen, do: Callable[[], Do]) -> None:
        self._fd = stream.fileno()
        self._screen = screen
        self._do = do
        self._typed = b""

    async def run(self) -> None:
        """Hear until the input ends, or for ever."""
        loop = asyncio.get_running_loop()
        while True:
            readable = asyncio.Event()
            loop.add_reader(self._fd, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(self._fd)
            if not self._ours():
                await asyncio.sleep(BACKGROUND_SECONDS)
                continue
            try:
                piece = os.read(self._fd, 4096)
            except OSError:  # the terminal is gone
                return
            if not piece:
                return
            *lines, self._typed = (self._typed + piece).split(b"\n")
            for line in lines:
                self.heard(line.decode("utf-8", "replace").strip())

    def _ours(self) -> bool:
        """Whether we are in the foreground: reading in the background would stop the process."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def heard(self, typed: str) -> None:
        """Do what *typed* stands for; nothing for an empty line."""
        typed = typed[:1].lower() + typed[1:]
        if (command := asked(typed, self._screen.state)) is not None:
            self._do()(command)
        elif (lines := told(typed, self._screen.state)) is not None:
            self._screen.show(lines)
        elif typed[:2] in ("r ", "y "):
            name = one_line(typed[2:42])
            self._screen.show([f"  no target is called {name}; t + Enter lists them"])
        elif typed:
            self._screen.show([f"  {one_line(typed[:20])!r} means nothing; h + Enter for help"])

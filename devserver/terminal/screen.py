"""Lines written to a stream that may be slow, stuck or gone, without ever stalling the loop."""

import json
import os
import select
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TextIO

import click

from devserver.events import Event, State, apply, to_json
from devserver.redact import Redactor
from devserver.terminal.view import View

MOST_WAITING = 2000
"""Events that wait for a terminal: more than a morning's, unless the app floods."""
DRAIN_SECONDS = 1.0
"""How long the end waits for what was not yet written: a stuck pipe must not keep us alive."""


class LineWriter:
    """Writes lines from a thread of its own; `write` returns at once.

    A reader that goes away (`upm-dev serve | head`) ends the writing, quietly; a disk that is full
    ends it with a line on stderr. Leaving the block writes what is left, for as long as `drain`
    seconds. A reader that stands still (Ctrl-S) misses what comes once `most` writes wait for it,
    and is told so; None: nobody misses anything.
    """

    def __init__(
        self, stream: TextIO, *, drain: float = DRAIN_SECONDS, most: int | None = None
    ) -> None:
        self._stream = stream
        self._drain = drain
        self._most = most
        self._missed = 0
        self._over = False
        self._queue: SimpleQueue[Iterable[str] | None] = SimpleQueue()
        self._put = _putting(stream)
        # A daemon: one that is stuck in a full pipe would otherwise hold the process.
        self._thread = threading.Thread(target=self._write_on, name="lines", daemon=True)

    def __enter__(self) -> Self:
        self._stream.flush()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join(self._drain)

    def write(self, lines: Iterable[str]) -> None:
        """Write *lines* soon; the thread iterates, so what is lazy costs the caller nothing."""
        if self._over:
            return
        if self._most is not None and self._queue.qsize() >= self._most:
            self._missed += 1
            return
        if self._missed:
            self._queue.put([f"({self._missed} events are left out: nobody read them in time)"])
            self._missed = 0
        self._queue.put(lines)

    def _write_on(self) -> None:
        try:
            self._write_each()
        finally:
            self._over = True

    def _write_each(self) -> None:
        while (lines := self._queue.get()) is not None:
            text = "".join(f"{line}\n" for line in lines)
            try:
                self._put(text)
            except (BrokenPipeError, ValueError):  # the reader is gone, or the stream is closed
                return
            except OSError as error:
                name = getattr(self._stream, "name", "the output")
                reason = f"{name} cannot be written any more: {error.strerror}"
                with suppress(OSError, ValueError):
                    click.echo(f"warning: {reason}; what happens is not shown there", err=True)
                return


def _putting(stream: TextIO) -> Callable[[str], object]:
    """How to write to *stream*: to its descriptor, where it has one.

    Past the buffer, since the interpreter takes the buffer's lock at exit, and a thread that is
    stuck in a full pipe would still hold it.
    """
    try:
        fd = stream.fileno()
    except (OSError, ValueError):  # none: it lives in memory, where nothing is ever stuck
        return stream.write
    encoding = stream.encoding or "utf-8"
    return lambda text: _write_all(fd, text.encode(encoding, "backslashreplace"))


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # a pipe that its other users have made non-blocking
            select.select([], [fd], [])


class Screen:
    """Shows events as lines. Call it with each, in order: it is a listener for the Bus."""

    def __init__(self, writer: LineWriter, view: View, redactor: Redactor) -> None:
        self._writer = writer
        self._view = view
        self._redactor = redactor
        self._state = State()

    @property
    def state(self) -> State:
        return self._state

    def show(self, lines: Iterable[str]) -> None:
        """Write *lines* that no event led to."""
        self._writer.write(map(self._redactor.text, lines))

    def __call__(self, event: Event) -> None:
        lines = self._view.lines(event, self._state)
        self._state = apply(self._state, event)
        self._writer.write(map(self._redactor.text, lines))


class JsonLines:
    """Writes events as `--json` has them, one object a line. A listener for the Bus too."""

    def __init__(self, writer: LineWriter, redactor: Redactor) -> None:
        self._writer = writer
        self._redactor = redactor

    def __call__(self, event: Event) -> None:
        # Lazily: it takes half a millisecond, and a save is on its way to the target.
        self._writer.write(self._line(each) for each in (event,))

    def _line(self, event: Event) -> str:
        return json.dumps(self._redactor.document(to_json(event)))

"""Lines written to streams that are quick, stuck, closed or gone."""

import io
import json
import os
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from devserver.events import Bus, Changed, Notice, Published, Started, TargetChanged
from devserver.model import Severity, TargetState
from devserver.redact import Redactor
from devserver.terminal.screen import JsonLines, LineWriter, Screen
from devserver.terminal.view import View

FULL = Path("/dev/full")
PLAIN = View(frames=lambda _: "")


def pipe() -> tuple[int, "io.TextIOWrapper"]:
    read, write = os.pipe()
    return read, os.fdopen(write, "w", encoding="utf-8")


def all_of(fd: int) -> str:
    with os.fdopen(fd, encoding="utf-8") as stream:
        return stream.read()


def test_lines_arrive_in_order_and_whole() -> None:
    """All that was written before the block is left."""
    read, stream = pipe()

    with stream, LineWriter(stream) as writer:
        stream.write("before\n")
        for number in range(1000):
            writer.write([f"line {number}", ""] if number % 2 else [f"line {number}"])
        writer.write([])

    lines = all_of(read).split("\n")
    assert [line for line in lines if line] == [*(f"line {n}" for n in range(1000)), "before"]


def test_what_stands_in_the_buffer_comes_first() -> None:
    """Output of ours that was written the usual way before."""
    read, stream = pipe()
    stream.write("banner\n")

    with stream, LineWriter(stream) as writer:
        writer.write(["line"])

    assert all_of(read) == "banner\nline\n"


def test_a_full_pipe_stalls_nobody() -> None:
    """Neither `write` nor leaving waits for a reader: here one comes only after both."""
    read, stream = pipe()

    with LineWriter(stream, drain=0.2) as writer:
        for _ in range(200):
            writer.write(["x" * 10_000])

    assert all_of_what_is_there(read).startswith("x")
    os.close(read)
    for each in threading.enumerate():
        if each.name == "lines":  # else it would write on into whoever gets the number next
            each.join(5)
    stream.close()


def all_of_what_is_there(fd: int) -> str:
    return os.read(fd, 100).decode()


def test_a_slow_reader_gets_everything() -> None:
    """The queue keeps what the pipe does not take; a pipe made non-blocking is waited for."""
    read, stream = pipe()
    os.set_blocking(stream.fileno(), False)

    with stream, LineWriter(stream, drain=50) as writer:
        for _ in range(50):
            writer.write(["x" * 10_000])
        reader = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"],
            stdin=read,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.close(read)
    out, _ = reader.communicate(timeout=50)

    assert out == f"{50 * 10_001}\n"


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`upm-dev serve | head` is no error, and nothing is kept for nobody."""
    read, stream = pipe()
    os.close(read)

    with LineWriter(stream) as writer:
        writer.write(["line"])
        for each in threading.enumerate():
            if each.name == "lines":
                each.join(5)
        kept = ["a line that nobody will read"]
        nobody = weakref.ref(source := Lines(kept))
        writer.write(source)
        del source
        assert nobody() is None

    stream.close()


class Lines:
    """What can be watched being forgotten."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)


def test_a_reader_that_stands_still_misses_some_and_is_told() -> None:
    """Ctrl-S and lunch: what an app says meanwhile is not kept without end."""
    read, stream = pipe()
    said: list[str] = []

    with os.fdopen(read, encoding="utf-8") as reader:
        with stream, LineWriter(stream, most=5) as writer:
            for _ in range(100):
                writer.write(["x" * 99_999])
            said.append(reader.read(5 * 100_000))
            writer.write(["last"])
            reading = threading.Thread(target=lambda: said.append(reader.read()))
            reading.start()
        reading.join(20)

    rest = said[1].splitlines()
    assert rest[-1] == "last"
    assert re.fullmatch(r"\(9[45] events are left out: nobody read them in time\)", rest[-2])


def test_a_stuck_pipe_does_not_hold_the_process() -> None:
    """Not even at the interpreter's exit, when it flushes what it has."""
    program = (
        "import sys\n"
        "from devserver.terminal.screen import LineWriter\n"
        "with LineWriter(sys.stdout, drain=0.1) as writer:\n"
        "    for _ in range(100): writer.write(['x' * 10_000])\n"
    )
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    os.close(write)
    os.close(read)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_stream_in_memory_is_written_too() -> None:
    """It has no descriptor."""
    stream = io.StringIO()

    with LineWriter(stream) as writer:
        writer.write(["line"])

    assert stream.getvalue() == "line\n"


def test_what_the_stream_cannot_encode_is_escaped() -> None:
    """A terminal in Latin-1 gets what it can show."""
    read, write = os.pipe()

    with os.fdopen(write, "w", encoding="latin-1") as stream, LineWriter(stream) as writer:
        writer.write(["ä \u2192 \ud800"])

    with os.fdopen(read, "rb") as end:
        assert end.read() == b"\xe4 \\u2192 \\ud800\n"


def test_the_screen_shows_what_the_bus_carries() -> None:
    """It keeps its own state, so that an event can be judged by what was before it."""
    stream = io.StringIO()
    bus = Bus()

    with LineWriter(stream) as writer, bus.listening(Screen(writer, PLAIN, Redactor(["hunter2"]))):
        bus.publish(Started(urls={}, targets={"jira": "x"}, ready_ms=1, watcher="inotify"))
        for retry_in in (0.1, 0.2):
            bus.publish(
                TargetChanged(
                    target="jira",
                    state=TargetState.UNAVAILABLE,
                    attempt=1,
                    reason="nobody at http://bob:pw@h, hunter2",
                    retry_in=retry_in,
                )
            )

    told = stream.getvalue()
    assert told.count("unavailable") == 1
    assert "http://bob:***@h, ***" in told


def test_what_no_event_led_to_has_no_secret_either() -> None:
    """Answers to keys repeat addresses and reasons."""
    stream = io.StringIO()

    with LineWriter(stream) as writer:
        Screen(writer, PLAIN, Redactor(["hunter2"])).show(["with hunter2"])

    assert stream.getvalue() == "with ***\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, since it cannot be told where it happened."""
    with FULL.open("w", encoding="utf-8") as stream, LineWriter(stream) as writer:
        writer.write(["line"])

    assert "/dev/full cannot be written any more: No space left" in capsys.readouterr().err


def test_json_lines_are_events_and_nothing_else() -> None:
    """One object a line, in order, without secrets, whatever stands in them."""
    stream = io.StringIO()
    bus = Bus()
    hostile = "\ud800 \x1b \n hunter2"

    with LineWriter(stream) as writer, bus.listening(JsonLines(writer, Redactor(["hunter2"]))):
        bus.publish(Changed(paths=(hostile,)))
        bus.publish(Notice(severity=Severity.INFO, message='{"password": "x"}'))
        bus.publish(Published(revision="r1", digest="d", url="http://h/a.xml?target=j&rev=d"))

    first, second, third = map(json.loads, stream.getvalue().splitlines())
    assert first["v"] == 1
    assert first["type"] == "changed"
    assert first["paths"] == ["\ud800 \x1b \n ***"]
    assert second["message"] == '{"password": "***"}'
    assert third["url"] == "http://h/a.xml?target=j&rev=d"


@pytest.mark.parametrize("face", ["screen", "json"])
def test_a_closed_stream_is_no_error(face: str) -> None:
    """Whoever closed it does not want to hear more."""
    stream = io.StringIO()
    bus = Bus()

    with LineWriter(stream) as writer:
        stream.close()
        shown = (
            Screen(writer, PLAIN, Redactor()) if face == "screen" else JsonLines(writer, Redactor())
        )
        with bus.listening(shown):
            bus.publish(Changed(paths=("a",)))

"""Ends what we started when we are gone ourselves, even by SIGKILL.

A process that is killed tidies nothing up, so another one has to: a shell that holds one end of a
pipe of ours, and is told through it what there is to end. However we end, the pipe does too. (The
kernel's own way, PR_SET_PDEATHSIG, is Linux's alone and reaches no grandchildren.)
"""

import os
import subprocess
from contextlib import suppress

_SCRIPT = """\
while read -r line; do group=$line; done
[ -n "$group" ] || exit 0
kill -s TERM -- "-$group"
sleep 1
kill -s KILL -- "-$group"
"""


class DeadMansSwitch:
    """Watches over one process group at a time; a machine without a shell has none."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None

    def watch(self, group: int | None) -> None:
        """End *group* once we are gone; None: there is nothing to end (any more)."""
        if self._shell is None and group is not None:
            self._shell = _started()
        self._say(f"{group or ''}\n")

    def close(self) -> None:
        """Let go: nothing is ended."""
        if self._shell is None:
            return
        self._say("\n")
        assert self._shell.stdin is not None
        with suppress(OSError):
            self._shell.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._shell.wait(1.0)
        self._shell = None

    def _say(self, line: str) -> None:
        if self._shell is None:
            return
        assert self._shell.stdin is not None
        with suppress(OSError):  # somebody ended it: then there is no switch
            self._shell.stdin.write(line.encode())
            self._shell.stdin.flush()


def _started() -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            env={"PATH": os.defpath},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what ends us must not end it
        )
    except OSError:  # no further process is to be had, nor will the app be
        return None

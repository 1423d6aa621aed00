"""Standard streams that are closed, full or cut off: never a traceback.

- Closed by whoever started us (`>&-`): as if they led to /dev/null. Left closed, the next socket or
  file would get the number of standard output, and what is printed would go there.
- A reader that went away (`| head -1`): the end, without a word, as SIGPIPE ends other commands.
- A disk that is full, a device that fails: one line, and exit code 1.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from click.exceptions import Exit

from devserver.errors import UpmDevError

READER_GONE = 141
"""What a shell sees of a command that SIGPIPE ended: 128 + 13."""
_FAILS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


class OutputLost(UpmDevError):
    """Standard output cannot be written."""


def open_closed() -> None:
    """Lead each standard stream that is closed to /dev/null; lowest number first."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), "r", encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


@contextmanager
def writing() -> Iterator[None]:
    """Turn what a stream raises in the block into an exit, or into `OutputLost`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        _abandon()
        raise Exit(READER_GONE) from error
    except OSError as error:
        # With a name it is about a file, and a defect of ours that nobody caught it.
        if error.filename is not None or error.errno not in _FAILS:
            raise
        _abandon()
        raise OutputLost(
            f"standard output cannot be written: {error.strerror}",
            remedy="make room, or write it somewhere else",
        ) from error


def _abandon() -> None:
    """Have the interpreter's last flush, of what could not be written, succeed."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

"""Reading files of a project that may be somebody else's: ordinary ones of bounded size.

A link may lead anywhere, a FIFO waits for ever, and `/dev/zero` has no end.
"""

import errno
import os
import stat
from pathlib import Path


def contents(path: Path, limit: int, *, within: Path | None = None) -> bytes:
    """The bytes of an ordinary file of at most *limit* bytes.

    With *within*, the real file has to lie in that folder, links followed.

    Raises:
        OSError: as `open` does; or its `strerror` says that the file leads out of the project, is
            no ordinary file, or is too large.
    """
    real = Path(os.path.realpath(path))
    if within is not None and within.resolve() not in real.parents:
        raise OSError(errno.EPERM, f"leads out of the project, to {real}", str(path))
    if not stat.S_ISREG(real.stat().st_mode):  # before it is opened: that can wait, or act
        raise OSError(errno.EINVAL, "is no ordinary file", str(path))
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    with os.fdopen(os.open(real, flags), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit >> 10} kB", str(path))
    return data

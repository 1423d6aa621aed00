"""Files of a project that may be somebody else's: read with bounds, replaced as a whole.

A link may lead anywhere, a FIFO waits for ever, and `/dev/zero` has no end.
"""

import errno
import os
import stat
import tempfile
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


def replaced(path: Path, old: bytes, new: bytes) -> bool:
    """Have the file hold *new* at once, its mode kept; False: it does not hold *old* any more.

    Nothing is lost where it cannot be written. Raises OSError.
    """
    real = path.resolve()
    handle, temporary = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new)
        Path(temporary).chmod(real.stat().st_mode & 0o7777)
        if real.read_bytes() != old:
            return False
        Path(temporary).replace(real)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True

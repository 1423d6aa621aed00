"""What the system lets this process have open at once: sockets are files, too."""

from contextlib import suppress

WANTED = 10_240
"""Files: a hundred targets, browsers and a stranger's connections. Many systems begin with 1024 or
256, and let whoever asks have more."""
USUAL = 1024


def raise_limit() -> None:
    """Ask for as many as we may need; where the system gives no more, it stays as it is."""
    try:
        import resource
    except ImportError:  # no Unix, no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """How many files may be open."""
    try:
        import resource
    except ImportError:
        return USUAL
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else min(soft, WANTED)

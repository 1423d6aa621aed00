"""When to look again: at once, after every change, and each second in case an event was lost.

It says *when*, never *whether*: what the files hold decides that (`sources.Snapshot.digest`). So a
path list is not even passed on. Folders are watched, not files: an editor that renames over a file
replaces its inode, and a watch on the file would see one save and no more.

Linux is asked directly (inotify through asyncinotify: no thread, no wake-ups at rest, and a file
that is being written is told once it is closed); other systems through watchfiles. Measured on one
machine: a save is seen after 0.2 ms at no cost at rest, against 3.6 ms and 1.7 % of a core with
watchfiles at `step=2`.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from devserver.eventloop import aside

WATCHER = "inotify" if sys.platform == "linux" else "watchfiles"
STEP_MS = 5
"""How often watchfiles gathers events: a save is seen after some 1.6 steps; each step costs."""
DEBOUNCE_MS = 20
"""The longest that watchfiles gathers a burst of events before we hear of it."""
TICK_SECONDS = 1.0
"""A lost event (a folder that was just made, a network file system) costs no more than this."""
POLL_SECONDS = 0.25


async def looks(
    folders: Callable[[], frozenset[Path]], *, poll: bool = False, tick: float = TICK_SECONDS
) -> AsyncIterator[None]:
    """Yield whenever the project's files are worth another look; never ends.

    Args:
        folders: what to watch now, not recursively; asked again after each look, since a rendering
            may have turned to files elsewhere.
        poll: look every quarter of a second instead, for file systems that tell nothing.
        tick: seconds after which to look all the same; looking at many files costs something.
    """
    yield
    while poll:
        await asyncio.sleep(POLL_SECONDS)
        yield
    while True:
        watched = frozenset(filter(os.path.isdir, folders()))
        if not watched:
            await asyncio.sleep(TICK_SECONDS)
            yield
            continue
        async for _ in _changes(watched, tick):
            yield
            if folders() != watched:
                break


if sys.platform == "linux":

    async def _changes(watched: frozenset[Path], tick: float) -> AsyncIterator[None]:
        """Yield at once, after changes directly in *watched*, and each *tick* seconds."""
        # It asks ldconfig where the C library is: nobody waits for that.
        await aside(import_module, "asyncinotify")
        from asyncinotify import Inotify, Mask

        mask = (
            Mask.CLOSE_WRITE | Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO
            | Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR
        )  # fmt: skip
        with ExitStack() as stack:
            try:
                inotify = stack.enter_context(Inotify())
                os.set_blocking(inotify.fd, False)  # it says so itself, and means another flag
                for folder in watched:
                    inotify.add_watch(folder, mask)
            except (FileNotFoundError, NotADirectoryError):  # gone since it was listed
                yield
                return
            except OSError:  # the user's watches are used up (fs.inotify.max_user_*)
                async for _ in _polled():
                    yield
                return
            # What happened before the watch stood was seen by nobody.
            yield
            while True:
                try:
                    async with asyncio.timeout(tick):
                        await inotify.get()
                except TimeoutError:
                    pass  # the tick: look all the same
                yield

else:

    async def _changes(watched: frozenset[Path], tick: float) -> AsyncIterator[None]:
        """Yield at once, after changes directly in *watched*, and each *tick* seconds."""
        from watchfiles import awatch

        yield
        try:
            async for _ in awatch(
                *watched,
                watch_filter=None,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=round(tick * 1000),
                yield_on_timeout=True,
                recursive=False,
            ):
                yield
        except FileNotFoundError:  # gone since it was listed: list again
            return


async def _polled() -> AsyncIterator[None]:
    """For ever: look without being told."""
    while True:
        yield
        await asyncio.sleep(POLL_SECONDS)

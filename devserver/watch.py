"""When to look again: at once, after every change, and each second in case an event was lost.

It says *when*, never *whether*: what the files hold decides that (`sources.Snapshot.digest`). So a
path list is not even passed on. Folders are watched, not files: an editor that renames over a file
replaces its inode, and a watch on the file would see one save and no more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

STEP_MS = 2
"""How often watchfiles gathers events: a save is seen after some 1.6 steps, each step costs CPU.

Measured (`make bench`): 1 ms is 1.4 % of a core idle, 2 ms 0.7 %, 5 ms 0.2 % and 9 ms of latency.
"""
DEBOUNCE_MS = 20
"""The longest a burst of events is gathered before we hear of it."""
TICK_MS = 1000
"""A lost event (a folder that was just made, a network file system) costs no more than this."""
POLL_SECONDS = 0.25


async def looks(
    folders: Callable[[], frozenset[Path]], *, poll: bool = False
) -> AsyncIterator[None]:
    """Yield whenever the project's files are worth another look; never ends.

    Args:
        folders: what to watch now, not recursively; asked again after each look, since a rendering
            may have turned to files elsewhere.
        poll: look every quarter of a second instead, for file systems that tell nothing.
    """
    yield
    while poll:
        await asyncio.sleep(POLL_SECONDS)
        yield
    while True:
        watched = frozenset(folder for folder in folders() if folder.is_dir())
        if not watched:
            await asyncio.sleep(TICK_MS / 1000)
            yield
            continue
        async for _ in _changes(watched):
            yield
            if folders() != watched:
                break
        # What happened between two watches was seen by neither.
        yield


async def _changes(watched: frozenset[Path]) -> AsyncIterator[None]:
    """Yield after changes directly in *watched* and each second; end when a folder is gone."""
    from watchfiles import awatch  # Rust and anyio: 44 ms, and not for --poll

    try:
        async for _ in awatch(
            *watched,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            recursive=False,
        ):
            yield
    except FileNotFoundError:
        return

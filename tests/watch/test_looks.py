"""The watcher says when to look again: never too late, whatever the editor does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devserver.watch import looks


@asynccontextmanager
async def watching(
    folders: Callable[[], frozenset[Path]], *, poll: bool = False
) -> AsyncIterator[Callable[[Callable[[], object]], "asyncio.Task[None]"]]:
    """Yields a function: does something, and gives a task that ends once a look sees it."""
    wanted: list[tuple[Callable[[], bool], asyncio.Event]] = []

    async def follow() -> None:
        async for _ in looks(folders, poll=poll):
            for seen, event in wanted:
                if seen():
                    event.set()

    def expect(seen: Callable[[], object]) -> "asyncio.Task[None]":
        event = asyncio.Event()
        wanted.append((lambda: bool(seen()), event))

        async def wait() -> None:
            async with asyncio.timeout(3):
                await event.wait()

        return asyncio.create_task(wait())

    task = asyncio.create_task(follow())
    try:
        yield expect
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def holds(file: Path, text: str) -> Callable[[], bool]:
    return lambda: file.exists() and file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("poll", [False, True])
async def test_a_save_is_seen(tmp_path: Path, poll: bool) -> None:
    """A file written at any moment leads to a look that finds it, with and without events."""
    file = tmp_path / "a"
    async with watching(lambda: frozenset([tmp_path]), poll=poll) as expect:
        seen = expect(file.exists)
        file.write_text("1", encoding="utf-8")
        await seen


async def test_a_rename_over_the_file_is_seen(tmp_path: Path) -> None:
    """The inode changes, the folder's watch does not care."""
    file = tmp_path / "a"
    file.write_text("1", encoding="utf-8")
    async with watching(lambda: frozenset([tmp_path])) as expect:
        for text in ("2", "3", "4"):
            seen = expect(holds(file, text))
            (tmp_path / "b").write_text(text, encoding="utf-8")
            (tmp_path / "b").replace(file)
            await seen


async def test_a_folder_that_comes_and_goes_is_followed(tmp_path: Path) -> None:
    """What is to be watched is asked anew after each look."""
    inner = tmp_path / "inner"
    file = inner / "a"

    def folders() -> frozenset[Path]:
        return frozenset([tmp_path, inner]) if inner.is_dir() else frozenset([tmp_path])

    async with watching(folders) as expect:
        for text in ("1", "2"):
            made = expect(file.exists)
            inner.mkdir()
            file.write_text(text, encoding="utf-8")
            await made
            changed = expect(holds(file, "x"))
            file.write_text("x", encoding="utf-8")
            await changed
            gone = expect(lambda: not inner.exists())
            file.unlink()
            inner.rmdir()
            await gone


async def test_nothing_to_watch_is_looked_at_all_the_same(tmp_path: Path) -> None:
    """A project folder that is away for a moment is found again when it is back."""
    folder = tmp_path / "project"
    async with watching(lambda: frozenset([folder])) as expect:
        seen = expect(folder.is_dir)
        folder.mkdir()
        await seen

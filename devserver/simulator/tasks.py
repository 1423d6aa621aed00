"""Installation tasks and how they move on (upm-protocol.md §2.3 to §2.6). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from devserver.simulator.refusal import Refusal


class Stage(StrEnum):
    """The part of `status.contentType` that tells how far a task is (§2.4)."""

    DOWNLOADING = "install.downloading"
    INSTALLING = "install.installing"
    COMPLETE = "install.complete"
    FAILED = "task.install.err"

    @property
    def media_type(self) -> str:
        return f"application/vnd.atl.plugins.{self.value}+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One installation. `source` is the full URI or file name, `name` what it is shown as."""

    id: str
    user: str
    source: str
    name: str
    started: float
    stage: Stage
    key: str | None = None
    """The plugin it ended in."""
    refusal: Refusal | None = None
    finished: float | None = None
    seen: bool = False
    """A poll has seen it running."""

    @property
    def done(self) -> bool:
        return self.finished is not None

    @property
    def percent(self) -> int:
        """`amountDownloaded`: of the whole job. Never 100 before the redirect (§9)."""
        return 20 if self.stage is Stage.DOWNLOADING else 70


KEPT = 10_000
"""How many are remembered at most, whatever the era says."""


class Tasks:
    """The tasks a host remembers. *kept*: seconds for a finished one, None for ever."""

    def __init__(self, kept: float | None) -> None:
        self._kept = kept
        self._tasks: dict[str, Task] = {}

    def __iter__(self) -> Iterator[Task]:
        return iter(tuple(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task) -> Task:
        while len(self._tasks) >= KEPT:
            del self._tasks[next(iter(self._tasks))]
        self._tasks[task.id] = task
        return task

    def get(self, task_id: str, now: float) -> Task | None:
        task = self._tasks.get(task_id)
        if task is None or task.finished is None or self._kept is None:
            return task
        if now - task.finished > self._kept:
            del self._tasks[task_id]
            return None
        return task

    def look(self, task_id: str, now: float, *, running_first: bool) -> Task | None:
        """What a poll is told; *running_first*: one poll sees it running, however late it comes.

        A host that has anything to do is never done before the first poll (§10.5), so a client that
        cannot read a running task must not get by on our speed.
        """
        task = self.get(task_id, now)
        if task is None or task.seen:
            return task
        self._tasks[task_id] = replace(task, seen=True)
        if task.done and running_first:
            return replace(task, stage=Stage.INSTALLING, finished=None, key=None, refusal=None)
        return task

    def installing(self, task_id: str) -> None:
        self._move(task_id, stage=Stage.INSTALLING)

    def complete(self, task_id: str, key: str, now: float) -> None:
        self._move(task_id, stage=Stage.COMPLETE, key=key, finished=now)

    def fail(self, task_id: str, refusal: Refusal, now: float) -> None:
        self._move(task_id, stage=Stage.FAILED, refusal=refusal, finished=now)

    def forget(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)

    def clear(self) -> None:
        self._tasks.clear()

    def _move(self, task_id: str, **changes: object) -> None:
        if task := self._tasks.get(task_id):  # a restart may have forgotten it meanwhile
            self._tasks[task_id] = replace(task, **changes)  # type: ignore[arg-type]

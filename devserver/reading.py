"""One look at a project's descriptor, followed until its rendering asks for no further file.

Which templates an include with a computed name needs is known only while it is rendered; so the
pure rendering says what it lacks, the files are read, and it is done again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devserver.descriptor.document import Context
from devserver.descriptor.examine import SERVED, Examined, Wanted, examine
from devserver.model import Diagnostic, Position, Severity
from devserver.sources import Snapshot, Sources

MAX_LOOKS = 50
"""Times that one rendering may turn out to need further files: deeper than any real include."""

Variables = Callable[[Mapping[str, bytes]], "Mapping[str, Any] | tuple[Diagnostic, ...]"]
"""The variables of a rendering from the files of a snapshot, or what is wrong with those files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one look led to. `errors` are those that kept the descriptor from being good.

    `examined` is None where the files themselves, or the variables in them, are at fault.
    """

    snapshot: Snapshot
    examined: Examined | None = None
    errors: tuple[Diagnostic, ...] = ()


def read(
    sources: Sources, snapshot: Snapshot, variables: Variables, context: Context = SERVED
) -> Reading:
    """Render and examine what *snapshot* holds; *sources* reads what turns out to be needed.

    The reading's snapshot is the one that was enough, which may be a later one.
    """
    for _ in range(MAX_LOOKS):
        if snapshot.diagnostics:
            return Reading(snapshot=snapshot, errors=snapshot.diagnostics)
        along = sources.along
        given = variables(snapshot.files)
        if isinstance(given, tuple):
            return Reading(snapshot=snapshot, errors=given)
        result = examine(
            snapshot.files,
            snapshot.descriptor,
            given,
            missing=snapshot.missing,
            context=along.context() if along else context,
        )
        if not isinstance(result, Wanted):
            if along is not None:
                result = along.judged(result)
            return Reading(snapshot=snapshot, examined=result, errors=result.errors)
        sources.want(result.names)
        snapshot = sources.look()
    return Reading(snapshot=snapshot, errors=(_endless(snapshot.descriptor),))


def _endless(name: str) -> Diagnostic:
    return Diagnostic(
        code="T005",
        severity=Severity.ERROR,
        message=f"the includes do not come to an end: {MAX_LOOKS} times, one led to a further file",
        position=Position(name),
        fix="include fewer files whose names are computed, or name them in one list",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A descriptor beside the files that it was made of, for people to look at."""

    digest: str
    text: str
    files: Mapping[str, str]
    place: Callable[[int, int], Position]
    """Line and column of `text`, from 1, to the place in the user's file."""


def texts(files: Mapping[str, bytes]) -> dict[str, str]:
    """The files as text, for code frames: shown, never parsed."""
    return {name: data.decode("utf-8-sig", "replace") for name, data in files.items()}

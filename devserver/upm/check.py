"""One line of the doctor's: what was looked at, how it is, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from devserver.errors import TargetError


class Level(StrEnum):
    """How it is; the worst one decides the exit code."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Check:
    """`code` has a page (`upm-dev explain`), where there is one."""

    name: str
    level: Level
    message: str
    remedy: str = ""
    code: str = ""


def failed(name: str, error: TargetError) -> Check:
    """The line of a check that ended in *error*."""
    return Check(name, Level.FAILURE, error.reason, error.remedy, error.code)

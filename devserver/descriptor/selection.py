"""Which diagnostics are wanted: by id, by family, by file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from devserver.descriptor.ignores import matches
from devserver.model import Diagnostic, Severity

ALWAYS = ("G001", "G002", "G003", "S", "T", "C")
"""What keeps a descriptor from being read at all cannot be selected away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Ids of rules, or beginnings of such; `per_file` by glob of the file's name."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strict: bool = False

    def apply(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Those that are wanted; warnings become errors where strict."""
        return [self._hardened(each) for each in diagnostics if self._wanted(each)]

    def _wanted(self, each: Diagnostic) -> bool:
        if matches(each.code, ALWAYS):
            return True
        if self.select and not matches(each.code, self.select):
            return False
        if matches(each.code, self.ignore):
            return False
        return not any(
            matches(each.code, codes)
            for pattern, codes in self.per_file.items()
            if fnmatchcase(each.position.file, pattern)
        )

    def _hardened(self, each: Diagnostic) -> Diagnostic:
        if self.strict and each.severity is Severity.WARNING:
            return replace(each, severity=Severity.ERROR)
        return each

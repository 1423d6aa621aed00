"""What `validate`, `render` and `diff` see of a project: one look, nothing watched, nothing run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devserver import reading, variables
from devserver.cli.once import base_url
from devserver.descriptor.document import Context
from devserver.descriptor.examine import Examined
from devserver.model import Diagnostic, Target
from devserver.settings import Settings
from devserver.sources import Sources, find_descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What became of one descriptor; `files` are the texts that diagnostics point into.

    `diagnostics` are all, in source order; `examined` is None where there was nothing to examine.
    """

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    examined: Examined | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


def read(settings: Settings, context: Context, target: Target | None = None) -> Read:
    """Render and examine the descriptor of a project, for one target where that is given."""
    name = settings.descriptor or find_descriptor(settings.root)
    if isinstance(name, Diagnostic):
        return Read(name=".", diagnostics=(name,))
    sources = Sources(settings.root, name, settings.variables_files)

    def given(files: Mapping[str, bytes]) -> Mapping[str, Any] | tuple[Diagnostic, ...]:
        return variables.for_target(
            settings,
            target,
            base_url=base_url(settings),
            files=files,
            environ=os.environ,
        )

    found = reading.read(sources, sources.look(), given, context)
    return Read(
        name=name,
        files=reading.texts(found.snapshot.files),
        examined=found.examined,
        diagnostics=found.examined.diagnostics if found.examined else found.errors,
    )

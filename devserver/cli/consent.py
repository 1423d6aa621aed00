"""What the user agrees to, by flag or when asked: writing to a target, taking over, another key."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from devserver.upm.permission import Permission, is_far

if TYPE_CHECKING:
    from devserver.model import Target
    from devserver.settings import Settings

FLAGS = ("yes", "take_over", "allow_key_change")
"""The flags of consent, by their names in `options.OPTIONS`."""

Permissions = Callable[["Target"], tuple[Permission, ...]]


def of(
    settings: "Settings",
    ask: Callable[[str], bool] | None,
    *,
    root: Callable[["Target"], Path] | None = None,
) -> Permissions:
    """What is allowed on each target; *ask* is put the question for one that is far away.

    *root* gives the project that wants to write to a target, where that is not the settings'.

    Whoever says no is told by the registrar what to do: nothing is sent to that target. Nor is
    anything ever sent to Cloud, so nothing is asked about it.
    """
    from devserver import trust

    allowed = [each for each in Permission if getattr(settings, each.value.replace("-", "_"))]
    agreed = {
        each.name
        for each in settings.targets
        if Permission.INSTALL not in allowed
        and is_far(each)
        and trust.agreed(root(each) if root else settings.root, each, ask)
    }

    def permissions(target: "Target") -> tuple[Permission, ...]:
        more = (Permission.INSTALL,) if target.name in agreed else ()
        return (*allowed, *more)

    return permissions

"""The variables that every template has: what it may know of the world it is rendered for.

`base_url` (also `localBaseUrl`, for descriptors written for atlassian-connect-express), `app`
(`name`: the project's folder), `target` (`name`, `url`), `git` (`branch`, `commit`; empty outside a
repository), `env` (only the names allowed by `[app] env`, never `UPM_DEV_*`), then the project's
own from the variables files and the settings, then the target's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from devserver import git
from devserver.descriptor.variables import merged
from devserver.model import Diagnostic, Target
from devserver.settings import Settings


def for_target(
    settings: Settings,
    target: Target | None,
    *,
    base_url: str,
    files: Mapping[str, bytes],
    environ: Mapping[str, str],
) -> dict[str, Any] | tuple[Diagnostic, ...]:
    """The variables of one rendering, or what is wrong with the variables files among *files*.

    A later one wins: built in, variables files, settings, target.
    """
    own = merged(files, settings.variables_files)
    if isinstance(own, tuple):
        return own
    return {
        "base_url": base_url,
        "localBaseUrl": base_url,
        "app": {"name": settings.root.name},
        "target": {"name": target.name if target else "", "url": target.url if target else ""},
        "git": git.facts(settings.root),
        "env": allowed_env(settings.env, environ),
        **own,
        **settings.variables,
        **(target.variables if target else {}),
    }


def allowed_env(names: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the environment that the settings allow; ours hold secrets, so never."""
    return {
        name: environ[name]
        for name in names
        if name in environ and not name.upper().startswith("UPM_DEV_")
    }

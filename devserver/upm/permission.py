"""What the user has to say once, and which targets need a word before anything is sent there."""

from enum import StrEnum

from devserver.addresses import is_cloud, is_this_machine
from devserver.errors import TargetRefused
from devserver.model import Target


class Permission(StrEnum):
    """What the user has to say once: by flag, by key press."""

    INSTALL = "yes"
    """Log in to, and write to, a target that is neither this machine nor marked `dev = true`."""
    TAKE_OVER = "take-over"
    """Replace an app, or a version, that we did not install."""
    KEY_CHANGE = "allow-key-change"
    """Install under another key, and remove the one before."""


def is_far(target: Target) -> bool:
    """Whether nothing may be sent to *target* before the user has said so: it may be a typo.

    To Cloud nothing is ever sent, so nobody need be asked.
    """
    return not (target.dev or is_cloud(target.url) or is_this_machine(target.url))


def not_agreed(target: Target) -> TargetRefused:
    """Why nothing was sent to a target that is far, and what to do."""
    return TargetRefused(
        f"{target.name} is {target.url}, which is not this machine; nothing was sent",
        remedy="if it is meant for development, press y (--yes), or write dev = true under "
        f"[targets.{target.name}] and trust the settings (--trust)",
        code="TARGET-NOT-DEV",
    )

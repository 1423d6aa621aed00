"""What the user agrees to, by flag or when asked: writing to a target, taking over, another key."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from devserver.addresses import is_this_machine

if TYPE_CHECKING:
    from devserver.model import Target
    from devserver.registrar import Permission

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

FLAGS: Mapping[str, str] = {
    "yes": "Write to targets that are not this machine, without asking.",
    "take_over": "Replace an app, or a version, that upm-dev did not install.",
    "allow_key_change": "Install under another key when it changes, and remove the one before.",
}


def flags(command: Decorated) -> Decorated:
    """Declare the flags of consent on a command."""
    for name, text in reversed(tuple(FLAGS.items())):
        command = click.option(f"--{name.replace('_', '-')}", name, is_flag=True, help=text)(
            command
        )
    return command


def of(
    given: Mapping[str, object],
    targets: Iterable["Target"],
    ask: Callable[[str], bool] | None,
) -> Callable[["Target"], tuple["Permission", ...]]:
    """What is allowed on each target; *ask* is put the question for one that is far away.

    Whoever says no is told by the registrar what to do: nothing is sent to that target.
    """
    from devserver.registrar import Permission

    allowed = [each for each in Permission if given.get(each.value.replace("-", "_"))]
    agreed = {
        each.name
        for each in targets
        if ask is not None
        and Permission.INSTALL not in allowed
        and not each.dev
        and not is_this_machine(each.url)
        and ask(f"{each.name} is {each.url}, which is not this machine. Install apps there?")
    }

    def permissions(target: "Target") -> tuple["Permission", ...]:
        more = (Permission.INSTALL,) if target.name in agreed else ()
        return (*allowed, *more)

    return permissions

"""What changed between two revisions: modules and facts, not lines."""

from collections.abc import Mapping
from enum import StrEnum

from devserver.descriptor.visible import visible
from devserver.model import Change, ChangeKind, Descriptor, FactChange, Kind, Module


class Impact(StrEnum):
    """What a change means for whoever runs the app, least first."""

    NONE = "none"
    REREGISTER = "re-register"
    NEEDS_APPROVAL = "needs admin approval"
    BREAKING = "breaking"


DESCRIPTOR = "descriptor"
"""The type of a change outside the modules."""


def diff(old: Descriptor | None, new: Descriptor) -> tuple[Change, ...]:
    """The changes from *old* to *new*: the descriptor's own first, then modules by type and key.

    With no *old* every module is added. A module that has only another key than one that is gone
    counts as renamed.
    """
    if old is not None and old.canonical == new.canonical:
        return ()
    changes = []
    if old is not None and (facts := _facts(_outside(old), _outside(new))):
        changes.append(Change(kind=ChangeKind.CHANGED, type=DESCRIPTOR, key="", facts=facts))
    before, after = _named(old.modules if old else ()), _named(new.modules)
    gone = {name: before[name] for name in before.keys() - after.keys()}
    for name in sorted(after):
        module = after[name]
        if name in before:
            if facts := _facts(dict(before[name].facts), dict(module.facts)):
                changes.append(_change(ChangeKind.CHANGED, module, facts))
        elif (was := _twin(module, gone)) is not None:
            del gone[was]
            changes.append(
                Change(kind=ChangeKind.RENAMED, type=module.type, key=module.key, was=was[1])
            )
        else:
            changes.append(_change(ChangeKind.ADDED, module))
    changes += [_change(ChangeKind.REMOVED, gone[name]) for name in sorted(gone)]
    return tuple(changes)


def impact(old: Descriptor | None, new: Descriptor) -> Impact:
    """The worst that the change from *old* to *new* does."""
    if old is None:
        return Impact.REREGISTER
    changes = diff(old, new)
    if not changes:
        return Impact.NONE
    if (
        old.key != new.key
        or old.base_url != new.base_url
        or any(each.kind in (ChangeKind.REMOVED, ChangeKind.RENAMED) for each in changes)
    ):
        return Impact.BREAKING
    if asked_for(new) - asked_for(old) or (licensed(new) and not licensed(old)):
        return Impact.NEEDS_APPROVAL
    return Impact.REREGISTER


_IMPLIED = {
    "WRITE": {"READ"},
    "DELETE": {"READ", "WRITE"},
    "PROJECT_ADMIN": {"READ", "WRITE", "DELETE"},
    "SPACE_ADMIN": {"READ", "WRITE", "DELETE"},
    "ADMIN": {"READ", "WRITE", "DELETE", "PROJECT_ADMIN", "SPACE_ADMIN"},
}
"""What a Connect scope includes (descriptor-formats.md §4.1)."""


def asked_for(descriptor: Descriptor) -> frozenset[str]:
    """The scopes or permissions it asks for, with those that they include."""
    asked: set[str] = set()
    for path, value in descriptor.root:
        step = path.split("[")[0]
        if descriptor.kind is Kind.CONNECT_JSON:
            if step == "scopes":
                asked |= {value.upper()} | _IMPLIED.get(value.upper(), set())
        elif path.rpartition("/")[2].split("[")[0] == "permission" or path.endswith(
            ("permission@scope", "]@scope")
        ):
            asked.add(value)
    return frozenset(asked)


def licensed(descriptor: Descriptor) -> bool:
    """Whether the host is to ask for a licence."""
    if descriptor.kind is Kind.CONNECT_JSON:
        return ("enableLicensing", "true") in descriptor.root
    facts = dict(descriptor.root)
    return any(
        value == "atlassian-licensing-enabled"
        and facts.get(path.removesuffix("@name"), "").lower() == "true"
        for path, value in descriptor.root
        if path.endswith("@name")
    )


def sentence(change: Change) -> str:
    """The change in a line: `web-item "admin": link /a -> /b`."""
    what = visible(f'{change.type} "{change.key}"' if change.key else change.type)
    match change.kind:
        case ChangeKind.ADDED:
            return f"{what} added"
        case ChangeKind.REMOVED:
            return f"{what} removed"
        case ChangeKind.RENAMED:
            return f'{what} renamed from "{visible(change.was or "")}"'
        case ChangeKind.CHANGED:
            return f"{what}: " + ", ".join(_fact(each) for each in change.facts)


def _fact(fact: FactChange) -> str:
    path = visible(fact.path)
    if fact.old is None:
        return f"{path} = {_short(fact.new)}"
    if fact.new is None:
        return f"{path} removed (was {_short(fact.old)})"
    return f"{path} {_short(fact.old)} -> {_short(fact.new)}"


def _short(value: str | None) -> str:
    text = visible(value or "")
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'


def _outside(descriptor: Descriptor) -> dict[str, str]:
    return dict(descriptor.root)


def _change(kind: ChangeKind, module: Module, facts: tuple[FactChange, ...] = ()) -> Change:
    return Change(kind=kind, type=module.type, key=module.key, facts=facts)


def _facts(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[FactChange, ...]:
    return tuple(
        FactChange(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _named(modules: tuple[Module, ...]) -> dict[tuple[str, str, int], Module]:
    """Modules by type and key; equal ones (webhooks of one event) are numbered."""
    found: dict[tuple[str, str, int], Module] = {}
    count: dict[tuple[str, str], int] = {}
    for module in modules:
        name = (module.type, module.key)
        count[name] = count.get(name, 0) + 1
        found[*name, count[name]] = module
    return found


def _twin(
    module: Module, gone: Mapping[tuple[str, str, int], Module]
) -> tuple[str, str, int] | None:
    """The module that is gone and differs from this one by its key alone."""
    rest = _without_key(module)
    if not rest:
        return None
    for name in sorted(gone):
        if gone[name].type == module.type and _without_key(gone[name]) == rest:
            return name
    return None


def _without_key(module: Module) -> tuple[tuple[str, str], ...]:
    return tuple(fact for fact in module.facts if fact[0] not in ("@key", "key"))

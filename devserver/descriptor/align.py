"""What Maven put in place of `${…}`, read off a descriptor that it has filtered already. Pure.

The source has changed since, so the two are laid side by side by module and element, not by line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from devserver.descriptor.document import Element
from devserver.descriptor.placeholders import PROPERTY


def recovered(source: Element, built: Element) -> Mapping[str, str]:
    """The placeholders of *source* by name, with what stands in their place in *built*.

    One that came out in two different ways is left out.
    """
    found: dict[str, set[str]] = {}
    for written, came_out in _pairs(source, built):
        for name, value in _learnt(written, came_out):
            found.setdefault(name, set()).add(value)
    return {name: values.pop() for name, values in found.items() if len(values) == 1}


def _pairs(source: Element, built: Element) -> Iterator[tuple[str, str]]:
    """The texts and attributes of two elements, and of those below, that belong together."""
    yield source.text, built.text
    for name, value in source.attributes.items():
        if name in built.attributes:
            yield value, built.attributes[name]
    for each, partner in _partners(source.children, built.children):
        yield from _pairs(each, partner)


def _partners(
    source: Iterable[Element], built: Iterable[Element]
) -> Iterator[tuple[Element, Element]]:
    """The children that are the same ones: by key or name, else by their order among their like.

    That tells nothing where there are more of them on one side.
    """
    named = {(each.tag, name): each for each in built if (name := _name(each))}
    taken: set[int] = set()
    others: dict[str, list[Element]] = {}
    for each in source:
        partner = named.get((each.tag, _name(each)))
        if partner is not None:
            taken.add(id(partner))
            yield each, partner
        elif "${" in _name(each) or not _name(each):
            others.setdefault(each.tag, []).append(each)
    for tag, left in others.items():
        free = [each for each in built if each.tag == tag and id(each) not in taken]
        if len(free) == len(left):
            yield from zip(left, free, strict=True)


def _name(element: Element) -> str:
    return element.key or element.get("name")


def _learnt(written: str, came_out: str) -> Iterator[tuple[str, str]]:
    """What the placeholders of *written* stand for, where *came_out* leaves no doubt."""
    written, came_out = written.strip(), came_out.strip()
    names = [each[1] for each in PROPERTY.finditer(written)]
    if not names or len(written) > 2000 or "}${" in written:
        return
    pattern, at, known = "", 0, set[str]()
    for each in PROPERTY.finditer(written):
        pattern += re.escape(written[at : each.start()])
        group = f"g{names.index(each[1])}"
        pattern += f"(?P={group})" if each[1] in known else f"(?P<{group}>[^$]*?)"
        known.add(each[1])
        at = each.end()
    found = re.fullmatch(pattern + re.escape(written[at:]), came_out, re.DOTALL)
    if found is None:
        return
    for name in known:
        if value := found[f"g{names.index(name)}"]:
            yield name, value

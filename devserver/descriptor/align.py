"""What Maven put in place of `${…}`, read off a descriptor that it has filtered already. Pure.

The source has changed since, so the two are laid side by side by module and element, not by line.
"""

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
    free: dict[str, list[Element]] = {}
    for each in built:
        if id(each) not in taken:
            free.setdefault(each.tag, []).append(each)
    for tag, left in others.items():
        if len(left) == len(free.get(tag, ())):
            yield from zip(left, free[tag], strict=True)


def _name(element: Element) -> str:
    return element.key or element.get("name")


def _learnt(written: str, came_out: str) -> Iterator[tuple[str, str]]:
    """What the placeholders of *written* stand for, where *came_out* leaves no doubt.

    The texts between them are looked for from the left and from the right: where that finds
    different places, a text is there twice. No pattern is made of them, since matching one can take
    for ever.
    """
    written, came_out = written.strip(), came_out.strip()
    first, *pieces = _between(written)
    if not pieces or not all(pieces[:-1]) or not came_out.startswith(first):
        return
    *inner, last = pieces
    begin, end = len(first), len(came_out) - len(last)
    if end < begin or not came_out.endswith(last):
        return
    rightmost: list[int] = []
    at = end
    for each in reversed(inner):
        at = came_out.rfind(each, begin, at)
        rightmost.insert(0, at)
        if at < 0:
            return
    values, at = [], begin
    for each, expected in zip(inner, rightmost, strict=True):
        if came_out.find(each, at) != expected:
            return
        values.append(came_out[at:expected])
        at = expected + len(each)
    found: dict[str, set[str]] = {}
    for name, value in zip(PROPERTY.findall(written), [*values, came_out[at:end]], strict=True):
        found.setdefault(name, set()).add(value)
    if all(len(each) == 1 for each in found.values()):
        for name, (value,) in found.items():
            if value and "$" not in value:
                yield name, value


def _between(written: str) -> list[str]:
    """The texts before, between and behind the placeholders."""
    return PROPERTY.split(written)[::2]

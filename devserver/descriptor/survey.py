"""What a template's tree holds, found in one walk: may it be compiled, and what does it name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from jinja2 import nodes

from devserver.descriptor.fuel import HASHABLE_BITS, NODES, TooLarge

_SCOPES: Final = 300_000
"""Names times blocks: jinja2 copies its table of names for each block."""
_NESTED: Final = 80

_COSTLY: Final[Mapping[type[nodes.Node], int]] = {
    **dict.fromkeys((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends), 250),
    **dict.fromkeys((nodes.Macro, nodes.CallBlock), 100),
    **dict.fromkeys((nodes.Getattr, nodes.Getitem, nodes.Concat, nodes.Operand), 12),
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv), 12),
    **dict.fromkeys((nodes.Mod, nodes.Pow, nodes.List, nodes.Tuple), 10),
    **dict.fromkeys((nodes.Block, nodes.FilterBlock, nodes.AssignBlock), 20),
    **dict.fromkeys((nodes.For, nodes.Test), 6),
    nodes.Dict: 32,
}
_SCOPED: Final = frozenset({
    nodes.AssignBlock, nodes.Block, nodes.CallBlock, nodes.CondExpr, nodes.FilterBlock, nodes.For,
    nodes.FromImport, nodes.If, nodes.Import, nodes.Include, nodes.Macro, nodes.Scope, nodes.With,
})  # fmt: skip
_LARGE: Final[Mapping[type[nodes.Node], int]] = {
    nodes.CallBlock: 3,
    nodes.Include: 2,
    nodes.Macro: 3,
}
"""What becomes as much code as several others."""


@dataclass(slots=True)
class Survey:
    size: int = 0
    """How many nodes become code, text aside."""
    stored: set[str] = field(default_factory=set)
    """Names that the template itself gives a value to."""
    loop_names: set[str] = field(default_factory=set)
    filtered: list[nodes.For] = field(default_factory=list)


def survey(tree: nodes.Template) -> Survey:
    """Walk the tree. Raises TooLarge for what Python could not compile in reasonable time."""
    found = Survey()
    names: set[str] = set()
    scopes = 0
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        kind = type(node)
        if kind is nodes.TemplateData:
            continue
        at = node.lineno or 0
        found.size += _LARGE.get(kind, 1)
        if kind in _SCOPED:
            scopes += 1
        if isinstance(node, nodes.Name):
            names.add(node.name)
        _note(node, found)
        if depth > _NESTED:
            raise TooLarge("the expression or block is too deeply nested", at)
        if found.size > NODES:
            raise TooLarge(f"the templates hold more than {NODES:,} expressions and tags", at)
        if scopes * len(names) > _SCOPES:
            raise TooLarge("the template has too many names and blocks to compile", at)
        waiting += [(child, depth + 1) for child in reversed([*node.iter_child_nodes()])]
    return found


def _note(node: nodes.Node, found: Survey) -> None:
    match node:
        case nodes.Name() if node.ctx != "load":
            found.stored.add(node.name)
        case nodes.Const(value=int(value)) if value.bit_length() > HASHABLE_BITS:
            raise TooLarge("the number is too large to compute with", node.lineno)
        case nodes.For():
            found.loop_names.update(_names(node.target))
            if node.test is not None:
                found.filtered.append(node)
        case nodes.Macro():
            found.stored.add(node.name)
        case nodes.Import():
            found.stored.add(node.target)
        case nodes.FromImport():
            found.stored.update(each if isinstance(each, str) else each[1] for each in node.names)


def _names(target: nodes.Node) -> Iterator[str]:
    if isinstance(target, nodes.Name):
        yield target.name
    for name in target.find_all(nodes.Name):
        yield name.name


def weight(body: Iterable[nodes.Node]) -> int:
    """Units for running *body* once, less the blocks in it, which pay for themselves."""
    total = 0
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.TemplateData):
            total += 1 + len(node.data) // 8
            continue
        total += _COSTLY.get(type(node), 2)
        waiting += node.iter_child_nodes(exclude=("body", "else_"))
    return total


def first(node: nodes.Node) -> nodes.Node:
    """The node that a reader would point at: an expression's first, a tag's own expression."""
    while (inner := _first_within(node)) is not None:
        node = inner
    return node


def _first_within(node: nodes.Node) -> nodes.Node | None:
    match node:
        case nodes.Include() | nodes.Extends() | nodes.Import() | nodes.FromImport():
            return node.template
        case nodes.If():
            return node.test
        case nodes.For():
            return node.iter
        case nodes.CallBlock():
            return node.call
        case nodes.Call() | nodes.Filter() | nodes.Test() | nodes.Getattr() | nodes.Getitem():
            return node.node
        case nodes.BinExpr():
            return node.left
        case nodes.Compare():
            return node.expr
        case nodes.CondExpr():
            return node.expr1
        case nodes.Concat():
            return node.nodes[0]
        case nodes.Tuple() if node.items:
            return node.items[0]
        case _:
            return None

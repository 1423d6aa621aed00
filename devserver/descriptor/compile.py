"""From a template's text to code that counts its work and knows where each piece of it came from.

jinja2's parser and code generator, with four changes: nodes carry offsets instead of lines
(`positions`), each block of code pays for itself when it is entered, what Python would do unseen
(comparing, slicing, joining) goes through the sandbox, and nothing is computed while compiling.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any, Final

from jinja2 import meta, nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from devserver.descriptor.filters import SPEND
from devserver.descriptor.fuel import Exceeded
from devserver.descriptor.positions import Marks, Source, tokens
from devserver.descriptor.sandbox import Sandbox

NODES: Final = 30_000
"""Of one template: Python needs some 50 µs and 10 kB to compile each."""
_NODE_UNITS: Final = 60
_SCOPES: Final = 1_000_000
_CODE: Final = 6_000_000
_NESTED: Final = 80
_UNDEFINED: Final = "(undefined("

_COSTLY: Final = {
    nodes.Dict: 16,
    nodes.List: 6,
    nodes.Tuple: 4,
    nodes.Include: 20,
    nodes.Import: 20,
}
_BODIES: Final = ("body", "else_", "elif_")
_SCOPED = (
    nodes.Block, nodes.CallBlock, nodes.CondExpr, nodes.FilterBlock, nodes.For, nodes.FromImport,
    nodes.If, nodes.Import, nodes.Include, nodes.Macro, nodes.With, nodes.AssignBlock, nodes.Scope,
)  # fmt: skip


class TooLarge(Exceeded):
    """The template itself is more than may be compiled; `offset` is where it becomes so."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template's code. `units` is what compiling cost; `lines` leads from its code to offsets."""

    source: Source
    code: CodeType
    units: int
    lines: tuple[tuple[int, int], ...]
    loop_names: frozenset[str]
    stored: frozenset[str]
    references: tuple[str, ...]
    dynamic: bool
    """Some of the templates it refers to are known only while it is rendered."""

    @property
    def file(self) -> str:
        return self.code.co_filename

    def offset(self, line: int) -> int:
        """The offset in the source that *line* of the code came from."""
        found = 0
        for offset, code_line in self.lines:
            if code_line > line:
                break
            found = offset
        return found

    def template(self, sandbox: Sandbox) -> Template:
        """The template, ready to be rendered in *sandbox*; every entry is a level of depth."""
        sandbox.fuel.spend(self.units)
        made = Template.from_code(sandbox, self.code, sandbox.make_globals(None))
        rendered = made.root_render_func

        def root(context: Any) -> Iterator[str]:
            sandbox.fuel.enter()
            try:
                yield from rendered(context)
            finally:
                sandbox.fuel.leave()

        made.root_render_func = root
        return made


class _Compiling(Sandbox):
    """The environment while one template is compiled."""

    source: Source
    marks: Marks | None

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return tokens(self.lexer, self.source, self.marks)


_PROTOTYPES: Final = {escaping: _Compiling(autoescape=escaping) for escaping in (False, True)}


def sandbox(autoescape: bool) -> Sandbox:
    """The prototype that renderings are opened from."""
    return _PROTOTYPES[autoescape]


@lru_cache(64)
def compiled(name: str, text: str, autoescape: bool) -> Compiled:
    """The template *name*, whose text is *text*; remembered by content.

    Raises TemplateSyntaxError, its `lineno` an offset, or TooLarge.
    """
    return compile_marked(Source(name, text), autoescape, None)


def compile_marked(source: Source, autoescape: bool, marks: Marks | None) -> Compiled:
    """The same, with *marks* in its text."""
    environment = object.__new__(_Compiling)
    environment.__dict__.update(_PROTOTYPES[autoescape].__dict__)
    environment.source = source
    environment.marks = marks
    tree = _parsed(environment, source)
    units = _measured(tree) * _NODE_UNITS + len(source.text) // 8
    for each in tree.find_all(nodes.For):
        if each.test is not None:
            _pay_in(each)
    references, dynamic = [], False
    for reference in meta.find_referenced_templates(tree):
        if reference is None:
            dynamic = True
        else:
            references.append(reference)
    loop_names = frozenset(
        name.name for loop in tree.find_all(nodes.For) for name in _names(loop.target)
    )
    stored = frozenset(_stored(tree))
    generator = _Generator(environment, source.name, None, optimized=False)
    generator.source = source
    code = _generated(generator, tree, source)
    lines = tuple(generator.debug_info)
    return Compiled(
        source, code, units, lines, loop_names, stored, tuple(dict.fromkeys(references)), dynamic
    )


def _parsed(environment: _Compiling, source: Source) -> nodes.Template:
    parser = Parser(environment, source.text, source.name)
    try:
        return parser.parse()
    except RecursionError:
        at = parser.stream.current.lineno
        raise TooLarge("the expression is too deeply nested", at) from None
    except ValueError as exc:  # a number of too many digits
        raise TemplateSyntaxError(str(exc), parser.stream.current.lineno, source.name) from exc


def _measured(tree: nodes.Template) -> int:
    """How many nodes there are to compile. Raises TooLarge for more than Python can take."""
    count = scopes = 0
    stored: set[str] = set()
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        at = node.lineno or 0
        if depth > _NESTED:
            raise TooLarge("the expression or block is too deeply nested", at)
        if not isinstance(node, nodes.TemplateData | nodes.Output):
            count += 1
        if isinstance(node, nodes.Name):
            stored.add(node.name)
        scopes += isinstance(node, _SCOPED)
        if count > NODES:
            raise TooLarge(
                f"the template has more than {NODES:,} expressions and tags to compile", at
            )
        if scopes * len(stored) > _SCOPES:
            raise TooLarge("the template has too many names and blocks to compile", at)
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]
    return count


def _generated(generator: "_Generator", tree: nodes.Template, source: Source) -> CodeType:
    try:
        generator.visit(tree)
        return compile(generator.stream.getvalue(), f"<{source.name}>", "exec")  # type: ignore[attr-defined]
    except (RecursionError, MemoryError, SyntaxError) as exc:
        # Python's own limits: twenty nested loops, a hundred levels, two hundred parentheses.
        offset = 0
        if isinstance(exc, SyntaxError) and exc.lineno:
            for at, line in generator.debug_info:
                if line <= exc.lineno:
                    offset = at
        raise TooLarge("the blocks or expressions are too deeply nested", offset) from None


def _pay_in(loop: nodes.For) -> None:
    """A filtered loop pays for each item it leaves out as well."""
    assert loop.test is not None
    at = loop.test.lineno
    units = nodes.Const(2 + _weight([loop.test]), lineno=at)
    paying = nodes.Filter(units, SPEND, [], [], None, None, lineno=at)
    loop.test = nodes.And(paying, loop.test, lineno=at).set_environment(loop.environment)  # type: ignore[arg-type]


def _weight(body: Iterable[nodes.Node]) -> int:
    """Units for running *body* once, less the blocks in it, which pay for themselves."""
    total = 0
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.TemplateData):
            total += 1 + len(node.data) // 8
            continue
        total += _COSTLY.get(type(node), 1)
        waiting += node.iter_child_nodes(exclude=_BODIES)
    return total


def _stored(tree: nodes.Template) -> Iterator[str]:
    for name in tree.find_all(nodes.Name):
        if name.ctx != "load":
            yield name.name
    for macro in tree.find_all(nodes.Macro):
        yield macro.name
    for imported in tree.find_all(nodes.Import):
        yield imported.target
    for source in tree.find_all(nodes.FromImport):
        yield from (each if isinstance(each, str) else each[1] for each in source.names)


def _names(target: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(target, nodes.Name):
        yield target
    yield from target.find_all(nodes.Name)


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


class _Generator(CodeGenerator):
    source: Source
    _size = 0
    _named = ""
    """The place of the name that is being written."""

    def write(self, x: str) -> None:
        self._size += len(x)
        if self._size > _CODE + 4 * len(self.source.text):
            at = self.debug_info[-1][0] if self.debug_info else 0
            raise TooLarge("the template makes more code than may be compiled", at)
        if self._named and x.startswith(_UNDEFINED):
            x = f"{_UNDEFINED}place={self._named}, {x.removeprefix(_UNDEFINED)}"
        super().write(x)

    def newline(self, node: nodes.Node | None = None, extra: int = 0) -> None:
        super().newline(None if node is None else first(node), extra)

    def position(self, node: nodes.Node) -> str:
        place = self.source.place(node.lineno)
        return f"line {place.line}"

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        body = list(nodes)
        self.writeline(f"environment.fuel.spend({2 + _weight(body)})")
        super().blockvisit(body, frame)

    def _place(self, node: nodes.Node) -> str:
        return repr((self.name, first(node).lineno))

    # Values that the sandbox has to see

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.shown(context, ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        self._named = self._place(node)
        super().visit_Name(node, frame)
        self._named = ""

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        self.write("environment.getattr(")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}, {self._place(node)})")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        sliced = isinstance(node.arg, nodes.Slice)
        self.write("environment.sliced(" if sliced else "environment.getitem(")
        self.visit(node.node, frame)
        self.write(", ")
        if isinstance(node.arg, nodes.Slice):
            self.write("slice(")
            for bound in (node.arg.start, node.arg.stop, node.arg.step):
                if bound is None:
                    self.write("None")
                else:
                    self.visit(bound, frame)
                self.write(", ")
            self.write("))")
        else:
            self.visit(node.arg, frame)
            self.write(f", {self._place(node)})")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenated(context, (")
        for value in node.nodes:
            self.visit(value, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        self.write("(")
        self._weighed(node.expr, frame)
        for operand in node.ops:
            self.visit(operand, frame)
        self.write(")")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:
        self.write(f" {operators[node.op]} ")
        self._weighed(node.expr, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("{")
        for item in node.items:
            self._weighed(item.key, frame)
            self.write(": ")
            self.visit(item.value, frame)
            self.write(", ")
        self.write("}")

    def _weighed(self, node: nodes.Expr, frame: Frame) -> None:
        if isinstance(node, nodes.Const):
            self.visit(node, frame)
            return
        self.write("environment.weighed(")
        self.visit(node, frame)
        self.write(")")

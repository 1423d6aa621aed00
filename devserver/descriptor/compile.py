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

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, MacroRef, operators
from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from devserver.descriptor.fuel import TooLarge
from devserver.descriptor.positions import Marks, Source
from devserver.descriptor.sandbox import Sandbox
from devserver.descriptor.survey import first, survey, weight
from devserver.descriptor.tokens import tokens

_CODE: Final = 6_000_000
"""Characters of Python, beyond the template's own text."""
_UNDEFINED: Final = "(undefined(name="


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template's code; `lines` leads from its lines to offsets in the source."""

    source: Source
    code: CodeType
    nodes: int
    lines: tuple[tuple[int, int], ...]
    loop_names: frozenset[str]
    stored: frozenset[str]

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
        sandbox.fuel.compile(self.nodes, len(self.source.text))
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
        return tokens(self.source, self.marks)


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
    found = survey(tree)
    for loop in found.filtered:
        _pay_in(loop)
    generator = _Generator(environment, source.name, None, optimized=False)
    generator.source = source
    return Compiled(
        source,
        _generated(generator, tree),
        found.size,
        tuple(generator.debug_info),
        frozenset(found.loop_names),
        frozenset(found.stored),
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


def _generated(generator: "_Generator", tree: nodes.Template) -> CodeType:
    try:
        generator.visit(tree)
        return compile(generator.stream.getvalue(), f"<{generator.name}>", "exec")  # type: ignore[attr-defined]
    except (RecursionError, MemoryError) as exc:
        raise TooLarge("the blocks or expressions are too deeply nested", 0) from exc
    except SyntaxError as exc:
        offset = 0
        for at, line in generator.debug_info:
            if line <= (exc.lineno or 0):
                offset = at
        if exc.msg.startswith("too many"):  # twenty loops in each other, a hundred levels
            raise TooLarge(f"Python compiles no more: {exc.msg}", offset) from None
        raise TemplateSyntaxError(exc.msg, offset, generator.name) from None


def _pay_in(loop: nodes.For) -> None:
    """A filtered loop pays for each item it leaves out as well."""
    assert loop.test is not None
    at = loop.test.lineno
    units = nodes.Const(2 + weight([loop.test]), lineno=at)
    paying = nodes.Filter(units, SPEND, [], [], None, None, lineno=at)
    loop.test = nodes.And(paying, loop.test, lineno=at).set_environment(loop.environment)  # type: ignore[arg-type]


SPEND: Final = "(spend)"
"""What stands for paying in a tree: written as code, so that no template can name it."""


class _Generator(CodeGenerator):
    source: Source
    _size = 0
    _defaults = 0
    """What the defaults of the macro that is about to be written cost at each call."""
    _named = ""
    """The place of the name that is being written."""

    def write(self, x: str) -> None:
        self._size += len(x)
        if self._size > _CODE + 4 * len(self.source.text):
            at = self.debug_info[-1][0] if self.debug_info else 0
            raise TooLarge("the template makes more code than may be compiled", at)
        if self._named and x.startswith(_UNDEFINED):
            x = f"(unknown({self._named}, {x.removeprefix(_UNDEFINED)}"
        super().write(x)

    def newline(self, node: nodes.Node | None = None, extra: int = 0) -> None:
        super().newline(None if node is None else first(node), extra)

    def position(self, node: nodes.Node) -> str:
        place = self.source.place(node.lineno)
        return f"line {place.line}"

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        body = list(nodes)
        self.writeline(f"environment.fuel.spend({2 + weight(body) + self._defaults})")
        self._defaults = 0
        super().blockvisit(body, frame)

    def macro_body(
        self, node: nodes.Macro | nodes.CallBlock, frame: Frame
    ) -> tuple[Frame, MacroRef]:
        self._defaults = weight(node.defaults)
        return super().macro_body(node, frame)

    def write_commons(self) -> None:
        super().write_commons()
        self.writeline(f"unknown = environment.naming({self.name!r})")

    def _place(self, node: nodes.Node) -> str:
        return f"{first(node).lineno}, {self.name!r}"

    # Values that the sandbox has to see

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.shown(context, ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        if node.name != SPEND:
            super().visit_Filter(node, frame)
            return
        assert node.node is not None
        self.write("environment.paid(")
        self.visit(node.node, frame)
        self.write(")")

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        self._named = str(node.lineno)
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

"""What a template may touch while it is rendered, and that it pays for it.

jinja2's immutable sandbox keeps a template from Python's internals; this one also counts every step
(`fuel`), lets it call nothing but macros and the methods listed here, and finds other templates in
the mapping of files alone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from datetime import date, time, timedelta
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from jinja2.environment import Template
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplatesNotFound
from jinja2.runtime import (
    BlockReference,
    Context,
    LoopContext,
    Macro,
    Undefined,
    markup_join,
    str_join,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace
from markupsafe import Markup, escape

from devserver.descriptor.calls import Format, bounded_range, pay_for_method
from devserver.descriptor.filters import FILTERS, TESTS
from devserver.descriptor.fuel import Exceeded, Fuel, pay_for_operator, swollen
from devserver.descriptor.references import candidates
from devserver.descriptor.unknown import Unknown

TEMPLATES: Final = 1000
"""Files that one rendering may ask for in vain."""
LONGEST: Final = 4096
"""Characters of a file's name: what Linux opens."""


class Outside(Exception):
    """A template's name climbs out of the project."""


class ValuesOf(Namespace):
    """jinja2's `namespace`, but nothing in it may pose as one of Python's own attributes."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name != "__class__":
            raise AttributeError(name)
        return super().__getattribute__(name)


class FrugalContext(Context):
    """A context that pays for the copy of the variables each is made of."""

    def __init__(
        self,
        environment: "Sandbox",
        parent: dict[str, Any],
        name: str | None,
        blocks: dict[str, Callable[[Context], Iterator[str]]],
        globals: MutableMapping[str, Any] | None = None,
    ) -> None:
        environment.fuel.spend(40 + 2 * len(parent))
        super().__init__(environment, parent, name, blocks, globals)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one rendering. Made by `opened` from a prototype, which costs 2 µs."""

    intercepted_binops = frozenset({"//", "%", "+", "*", "-", "/", "**"})
    context_class = FrugalContext

    fuel: Fuel
    files: Mapping[str, bytes]
    absent: Collection[str]
    used: dict[str, Template]
    wanted: set[str]
    load: Callable[["Sandbox", str], Template]

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=Unknown,
            optimized=False,  # folding would compute constants with nobody counting
            cache_size=0,
        )
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = {
            "cycler": Cycler,
            "dict": dict,
            "joiner": Joiner,
            "namespace": ValuesOf,
            "range": bounded_range,
        }

    def opened(
        self,
        files: Mapping[str, bytes],
        absent: Collection[str],
        load: Callable[["Sandbox", str], Template],
    ) -> "Sandbox":
        """A sandbox for one rendering of *files*, with a full allowance."""
        one = object.__new__(type(self))
        one.__dict__.update(self.__dict__)
        one.fuel = Fuel()
        one.files = files
        one.absent = absent
        one.used = {}
        one.wanted = set()
        one.undefined = one._unknown  # type: ignore[assignment]
        one.load = load
        return one

    # Finding other templates

    def join_path(self, template: str, parent: str) -> str:
        """The file meant by *template* in *parent*: from the project's root, else from its folder.

        Raises TemplateNotFound where it is not there, Outside where it could only be outside the
        project. What nobody has looked for yet is noted in `wanted` and taken for missing, so that
        a rendering finds as many of them as it can.
        """
        if isinstance(template, Undefined):
            template._fail_with_undefined_error()
        if not isinstance(template, str):
            raise TypeError(f"a template's name is text, not {type(template).__name__}")
        self.fuel.spend(60)
        if len(template) > LONGEST:
            raise TemplateNotFound(template)
        names = candidates(template, parent)
        if not names:
            raise Outside(template)
        for name in names:
            if name in self.files:
                return name
            if name not in self.absent:
                self.wanted.add(name)
                if len(self.wanted) + len(self.absent) > TEMPLATES:
                    self.wanted.clear()
                    raise Exceeded(f"the template asks for more than {TEMPLATES:,} files")
        raise TemplateNotFound(template)

    def select_template(
        self,
        names: Iterable[Any],
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,
    ) -> Template:
        """The first that is there. (jinja2's own looks for it where `join_path` may not raise.)"""
        tried: list[str] = []
        for name in names:
            try:
                return self.get_template(name, parent, globals)
            except TemplateNotFound:
                tried.append(name)
        raise TemplatesNotFound(tried)

    def _load_template(self, name: str, globals: MutableMapping[str, Any] | None) -> Template:
        if name not in self.used:
            self.used[name] = self.load(self, name)
        return self.used[name]

    def _unknown(self, *args: Any, **named: Any) -> Unknown:
        self.fuel.spend(30)
        return Unknown(*args, **named)

    def naming(self, template: str) -> Callable[[int, str], Unknown]:
        """For the code of *template*: the undefined value of a name that stands at an offset."""

        def unknown(offset: int, name: str) -> Unknown:
            value = self._unknown(name=name)
            value.named_at(template, offset)
            return value

        return unknown

    # What expressions do

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        pay_for_operator(self.fuel, operator, left, right)
        return self.binop_table[operator](left, right)

    def concatenated(self, context: Context, values: tuple[Any, ...]) -> str:
        """`a ~ b`"""
        escaping = context.eval_ctx.autoescape
        for value in values:
            self.fuel.weigh(value, swell=escaping)
        return markup_join(values) if escaping else str_join(values)

    def paid(self, units: int) -> bool:
        """For generated code, in a condition."""
        self.fuel.spend(units)
        return True

    def weighed(self, value: Any) -> Any:
        """A value that is about to be compared or hashed."""
        self.fuel.weigh(value)
        return value

    def sliced(self, value: Any, cut: slice) -> Any:
        if isinstance(value, str):
            self.fuel.text(len(value))
        elif hasattr(value, "__len__"):
            self.fuel.spend(len(value))
        return value[cut]

    def shown(self, context: Context, value: Any) -> str:
        """What is written for an expression's value.

        Data has a text; a generator or a macro has none worth showing, and to write one is a
        mistake (`|list` or `()` forgotten).
        """
        escaping = context.eval_ctx.autoescape
        fuel = self.fuel
        if isinstance(value, str):
            text: str = value
            if escaping and type(value) is str:
                fuel.text(len(value) if len(value) < 256 else swollen(value))
                text = escape(value)
            fuel.text(40 + len(text))
            return text
        if isinstance(value, Undefined):
            return str(value)
        if not isinstance(value, _PRINTABLE):
            raise TypeError(_unprintable(value))
        fuel.weigh(value, swell=True, times=2)
        return escape(value) if escaping else str(value)

    # What may be touched

    def getattr(self, obj: Any, attribute: str, offset: int = 0, name: str = "") -> Any:
        if type(obj) is dict and attribute in obj and attribute not in _DICT_ATTRIBUTES:
            return obj[attribute]  # what the line below would come to, at a fifth of the time
        value = super().getattr(obj, attribute)
        if name and type(value) is Unknown:
            value.named_at(name, offset)
        return value

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) in _IMMUTABLE:
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)

    def getitem(self, obj: Any, argument: Any, offset: int = 0, name: str = "") -> Any:
        if type(argument) is not str and type(argument) is not int:
            self.fuel.weigh(argument)
        value = super().getitem(obj, argument)
        if name and type(value) is Unknown:
            value.named_at(name, offset)
        return value

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        kind = type(obj).__name__
        return self.undefined(
            f'a template may not use "{attribute}" of a {kind}', obj, attribute, SecurityError
        )

    def wrap_str_format(self, value: Any) -> Any:
        if not isinstance(value, MethodType | BuiltinMethodType):
            return None
        if value.__name__ not in ("format", "format_map") or not isinstance(value.__self__, str):
            return None
        return Format(self, self.fuel, value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **named: Any) -> Any:
        fuel = __self.fuel
        fuel.spend(60 + len(args) + len(named))
        if isinstance(__obj, Macro | BlockReference | LoopContext):
            fuel.enter()
            try:
                return __context.call(__obj, *args, **named)
            finally:
                fuel.leave()
        if isinstance(__obj, MethodType | BuiltinMethodType):
            for private in ("_loop_vars", "_block_vars"):
                named.pop(private, None)
            args = tuple(list(each) if isinstance(each, Iterator) else each for each in args)
            pay_for_method(fuel, __obj, args, named)
            return __obj(*args, **named)
        if isinstance(__obj, type) and __obj in _MADE:
            fuel.spend(16)
            for each in args:
                fuel.weigh(each)
        elif __obj is bounded_range:
            pass
        elif not isinstance(__obj, Format | Joiner | Undefined):
            raise SecurityError(f"a template may not call a {type(__obj).__name__}")
        return __context.call(__obj, *args, **named)


_MADE: Final = (Cycler, dict, Joiner, ValuesOf)
_DICT_ATTRIBUTES: Final = frozenset(dir(dict))
_IMMUTABLE: Final = frozenset({LoopContext, Markup, bool, float, int, str, tuple})
"""Of these, nothing but private names needs to be kept from a template."""
_PRINTABLE: Final = (
    bool, int, float, complex, type(None), list, tuple, Mapping, set, frozenset, range, date, time,
    timedelta, bytes,
)  # fmt: skip


def _unprintable(value: object) -> str:
    match value:
        case Macro():
            return f'"{value.name}" is a macro: call it, {value.name}(...)'
        case Namespace():
            return "a namespace has no text to write: name one of its values"
        case Iterator():
            return "this is a sequence that is yet to be made: add |list or |join"
        case _:
            return f"a {type(value).__name__} has no text to write"

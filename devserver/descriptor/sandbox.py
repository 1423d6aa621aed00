"""What a template may touch while it is rendered, and that it pays for it.

jinja2's immutable sandbox keeps a template from Python's internals; this one also counts every step
(`fuel`), lets it call nothing but macros and the methods listed here, and finds other templates in
the mapping of files alone.
"""

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from datetime import date, time, timedelta
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from jinja2.environment import Template
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplatesNotFound, UndefinedError
from jinja2.runtime import (
    BlockReference,
    Context,
    LoopContext,
    Macro,
    StrictUndefined,
    Undefined,
    markup_join,
    str_join,
)
from jinja2.sandbox import (
    ImmutableSandboxedEnvironment,
    SandboxedEscapeFormatter,
    SandboxedFormatter,
)
from jinja2.utils import Cycler, Joiner, Namespace, missing
from markupsafe import Markup, escape

from devserver.descriptor.filters import FILTERS, TESTS
from devserver.descriptor.fuel import (
    RANGE,
    Exceeded,
    Fuel,
    pay_for_operator,
    pay_for_spec,
    swollen,
)

TEMPLATES: Final = 1000
"""Files that one rendering may ask for in vain."""
LONGEST: Final = 4096
"""Characters of a file's name: what Linux opens."""

Place = tuple[str, int]
"""A template's name and an offset in its text."""

_STR_METHODS: Final = """
    capitalize casefold center count endswith expandtabs find index isalnum isalpha isascii
    isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join
    ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition
    rsplit rstrip split splitlines startswith strip swapcase title upper zfill
"""
_METHODS: Final[tuple[tuple[type | tuple[type, ...], frozenset[str]], ...]] = (
    (str, frozenset(_STR_METHODS.split())),
    (Mapping, frozenset({"copy", "get", "items", "keys", "values"})),
    ((list, tuple, range), frozenset({"copy", "count", "index"})),
    ((int, float), frozenset({"bit_length", "is_integer"})),
    (
        (date, time, timedelta),
        frozenset(
            {"date", "isoformat", "isoweekday", "strftime", "time", "total_seconds", "weekday"}
        ),
    ),
    (LoopContext, frozenset({"changed", "cycle"})),
    (Cycler, frozenset({"next", "reset"})),
)
_DICT_ATTRIBUTES: Final = frozenset(dir(dict))
_IMMUTABLE: Final = frozenset({Markup, bool, float, int, str, tuple})
_WIDTHS: Final = frozenset({"center", "ljust", "rjust", "zfill"})
_PARTS: Final = frozenset({"rsplit", "split", "splitlines"})


class UnknownName(UndefinedError):
    """An undefined value was used. `place` is where it was named, `obj` what it was asked of."""

    def __init__(self, message: str, undefined: "Unknown") -> None:
        super().__init__(message)
        self.place = undefined._place
        self.name = undefined._undefined_name
        self.obj = undefined._undefined_obj


class Unknown(StrictUndefined):
    """An undefined value that remembers where the template named it."""

    __slots__ = ("_place",)

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: Any = UndefinedError,
    ) -> None:
        if exc is UndefinedError:
            exc = self._complaint
        super().__init__(hint, obj, name, exc)
        self._place: Place | None = None

    def _complaint(self, message: str) -> UnknownName:
        return UnknownName(message, self)


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


class _Formatter(SandboxedFormatter):
    """`str.format`, paid for: each field's width, precision and text before it is built."""

    def __init__(self, sandbox: "Sandbox", **more: Any) -> None:
        super().__init__(sandbox, **more)
        self._fuel = sandbox.fuel

    def format_field(self, value: Any, format_spec: str) -> str:
        pay_for_spec(self._fuel, value, format_spec)
        return str(super().format_field(value, format_spec))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._fuel.weigh(value, swell=True)
        return super().convert_field(value, conversion)

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        self._fuel.spend(60 + len(field_name))
        return super().get_field(field_name, args, kwargs)


class _EscapeFormatter(_Formatter, SandboxedEscapeFormatter):
    pass


class Format:
    """A text's `format` or `format_map`, ready to be called."""

    __slots__ = ("_name", "_sandbox", "_text")

    def __init__(self, sandbox: "Sandbox", text: str, name: str) -> None:
        self._sandbox = sandbox
        self._text = text
        self._name = name

    def __call__(self, *args: Any, **named: Any) -> str:
        text = self._text
        self._sandbox.fuel.spend(len(text))
        if self._name == "format_map":
            (named,), args = args, ()
        if isinstance(text, Markup):
            escaping = _EscapeFormatter(self._sandbox, escape=text.escape)
            return Markup(escaping.vformat(text, args, named))
        return _Formatter(self._sandbox).vformat(text, args, named)


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
            value._place = template, offset
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
        if name and type(value) is Unknown and value._place is None:
            value._place = name, offset
        return value

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) in _IMMUTABLE:
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)

    def getitem(self, obj: Any, argument: Any, offset: int = 0, name: str = "") -> Any:
        if type(argument) is not str and type(argument) is not int:
            self.fuel.weigh(argument)
        value = super().getitem(obj, argument)
        if name and type(value) is Unknown and value._place is None:
            value._place = name, offset
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
        return Format(self, value.__self__, value.__name__)

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
            _pay_for_method(fuel, __obj, args, named)
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


def bounded_range(*bounds: int) -> range:
    """`range`, of at most `RANGE` numbers, none of them past 60 bits."""
    made = range(*bounds)
    if abs(made.stop - made.start) // abs(made.step) > RANGE or any(
        bound.bit_length() > 60 for bound in bounds
    ):
        raise Exceeded(f"a range holds at most {RANGE:,} numbers")
    return made


_MADE: Final = (Cycler, dict, Joiner, ValuesOf)
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


def _pay_for_method(
    fuel: Fuel, method: Any, args: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Pay for a method by what it walks and builds. Raises SecurityError for one not listed."""
    obj, name = method.__self__, method.__name__
    for kinds, names in _METHODS:
        if isinstance(obj, kinds):
            if name in names:
                break
            raise SecurityError(f'a template may not call "{name}" of a {type(obj).__name__}')
    else:
        raise SecurityError(f"a template may not call a method of a {type(obj).__name__}")
    given = (*args, *named.values())
    for each in given:
        fuel.weigh(each, swell=True)
    if not isinstance(obj, str):
        if name in ("copy", "count", "index"):
            fuel.weigh(obj)
        elif name == "strftime":
            fuel.text(sum(256 * len(each) for each in given if isinstance(each, str)))
        return
    fuel.spend(2 * len(obj)) if name in _PARTS else fuel.text(len(obj))
    number = max((each for each in given if isinstance(each, int)), default=0)
    number = max(0, number)
    if name in _WIDTHS:
        fuel.text(number)
    elif name == "expandtabs":
        fuel.text(obj.count("\t") * (number or 8))
    elif name == "join" and args and hasattr(args[0], "__len__"):
        fuel.text(len(args[0]) * len(obj))
    elif name == "replace" and len(args) > 1 and isinstance(args[0], str):
        fuel.text(obj.count(args[0]) * swollen(str(args[1])))


def candidates(name: str, parent: str) -> tuple[str, ...]:
    """Where *name*, as *parent* writes it, may be found: from the root first, then from its folder.

    Project-relative names, normalised; none of them where all lie outside the project.
    """
    if name.startswith("/") or not name:
        return ()
    found: Iterable[str] = (
        posixpath.normpath(name),
        posixpath.normpath(posixpath.join(posixpath.dirname(parent), name)),
    )
    return tuple(dict.fromkeys(each for each in found if each.split("/")[0] not in ("..", ".", "")))

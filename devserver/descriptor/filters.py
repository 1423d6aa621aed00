"""The filters and tests a template may use, each with what it costs.

A filter is paid for before it runs: the C code underneath would otherwise build a gigabyte in one
call. Those that cannot be bounded (`urlize`, whose regular expressions are quadratic), or that
would make every rendering a new revision (`random`), are absent.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Undefined
from jinja2.tests import TESTS as DEFAULT_TESTS
from jinja2.utils import pass_context
from markupsafe import Markup

from devserver.descriptor.fuel import Exceeded, Fuel, pay_for_percent, swollen

Values = tuple[Any, ...]
Named = Mapping[str, Any]
Price = Callable[[Fuel, EvalContext, Values, Named], None]

ABSENT: Final = {
    "random": "it would make every rendering a new revision",
    "urlize": "it makes links for HTML, and a descriptor is none",
}
_PRECISION: Final = 400
_CHAINED: Final = 240
"""A sequence that is yet to be made, kept within another: some 5 kB until the end."""


def _nothing(_fuel: Fuel, _how: EvalContext, _values: Values, _named: Named) -> None:
    pass


def _whole(fuel: Fuel, how: EvalContext, values: Values, _named: Named) -> None:
    """The value is walked once, and its text may be escaped."""
    fuel.weigh(values[0], swell=how.autoescape)


def _slow(fuel: Fuel, how: EvalContext, values: Values, _named: Named) -> None:
    """Works character by character, in Python or to several characters for one."""
    fuel.weigh(values[0], swell=how.autoescape, times=12)


def _slower(fuel: Fuel, how: EvalContext, values: Values, _named: Named) -> None:
    """Looks at each entity on its own."""
    fuel.weigh(values[0], swell=how.autoescape, times=80)


def _compared(fuel: Fuel, _how: EvalContext, values: Values, named: Named) -> None:
    """The items are sorted or hashed: each is walked some log(n) times."""
    size = _length(values[0])
    fuel.weigh(values[0], times=2 + size.bit_length())
    fuel.spend(size * _each(values[1:], named))


def _each(values: Values, named: Named) -> int:
    """What an item costs: a dotted attribute takes as many steps as it has parts."""
    names = [each for each in (*values, *named.values()) if isinstance(each, str)]
    return 12 + 40 * sum(1 + each.count(".") + each.count(",") for each in names)


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def _argument(name: str, at: int, default: Any, values: Values, named: Named) -> Any:
    if name in named:
        return named[name]
    return values[at] if len(values) > at else default


def _size(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _batch(fuel: Fuel, _how: EvalContext, values: Values, named: Named) -> None:
    fuel.spend(4 * _length(values[0]))
    if _argument("fill_with", 2, None, values, named) is not None:
        fuel.spend(_size(_argument("linecount", 1, 0, values, named)))


def _center(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    _whole(fuel, how, values, named)
    fuel.text(_size(_argument("width", 1, 80, values, named)))


def _format(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    _whole(fuel, how, values, named)
    pay_for_percent(fuel, str(values[0]), named or values[1:])


def _indent(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    text = values[0]
    if not isinstance(text, str):  # a list would be changed in place
        raise TypeError(f"indent works on text, not on a {type(text).__name__}")
    _slow(fuel, how, values, named)
    width = _argument("width", 1, 4, values, named)
    width = swollen(width) if isinstance(width, str) else _size(width)
    fuel.text((len(text.splitlines()) + 1) * width)


def _join(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    _whole(fuel, how, values, named)
    size = _length(values[0])
    between = _argument("d", 1, "", values, named)
    fuel.weigh(between, swell=how.autoescape, times=1 + size)
    attribute = _argument("attribute", 2, None, values, named)
    if attribute is not None:
        fuel.spend(size * _each((attribute,), {}))


def _list(fuel: Fuel, _how: EvalContext, values: Values, _named: Named) -> None:
    fuel.spend(4 * _length(values[0]))


def _pprint(fuel: Fuel, _how: EvalContext, values: Values, _named: Named) -> None:
    units = fuel.weigh(values[0], times=8)
    fuel.spend(units * units // 64)  # each line is indented by up to all that stands around it


def _replace(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    fuel.weigh(values[0], swell=how.autoescape, times=3)
    text, old, new = (
        str(_argument(name, at, "", values, named)) for at, name in enumerate(("s", "old", "new"))
    )
    escaped = how.autoescape and any(isinstance(each, Markup) for each in values)
    found = swollen(text) // max(1, len(old)) + 1 if escaped else text.count(old)
    fuel.text(found * swollen(new))


def _round(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    _whole(fuel, how, values, named)
    precision = _argument("precision", 1, 0, values, named)
    if not isinstance(precision, int) or abs(precision) > _PRECISION:
        raise Exceeded(f"round takes a precision of at most {_PRECISION}")


def _slice(fuel: Fuel, _how: EvalContext, values: Values, named: Named) -> None:
    fuel.spend(4 * _length(values[0]) + _size(_argument("slices", 1, 0, values, named)))


def _sum(fuel: Fuel, _how: EvalContext, values: Values, named: Named) -> None:
    size = _length(values[0])
    start = _argument("start", 2, 0, values, named)
    copies = 1 if isinstance(start, int | float) else 1 + size  # lists, at each addition
    fuel.weigh(values[0], times=copies)
    fuel.weigh(start, times=copies)
    fuel.spend(size * _each(values[1:], named))


def _tojson(fuel: Fuel, _how: EvalContext, values: Values, named: Named) -> None:
    units = fuel.weigh(values[0], times=12)
    indent = _argument("indent", 1, None, values, named)
    if indent is not None:
        width = len(indent) if isinstance(indent, str) else _size(indent)
        fuel.text(units * min(units, 1000) * width)


def _trim(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    _whole(fuel, how, values, named)
    among = _argument("chars", 1, None, values, named)
    if isinstance(among, str):
        fuel.spend(len(str(values[0])) * len(among) // 32)


def _wordwrap(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    _slow(fuel, how, values, named)
    text = str(values[0])
    longest = max(map(len, text.splitlines()), default=0)
    fuel.spend(len(text) * longest // 16)  # textwrap is quadratic in a line
    between = _argument("wrapstring", 3, None, values, named)
    fuel.text(len(text) * len(between) if isinstance(between, str) else 0)


def _numbers(fuel: Fuel, how: EvalContext, values: Values, named: Named) -> None:
    """For tests that use `%`, which on a text would be formatting."""
    for value in (*values, *named.values()):
        if not isinstance(value, int | float | Undefined):
            raise TypeError(f"this test is for numbers, not for a {type(value).__name__}")
    _whole(fuel, how, values, named)


_FILTERS: Final[Mapping[str, Price]] = {
    **dict.fromkeys(("attr", "count", "d", "default", "first", "last", "length"), _nothing),
    **dict.fromkeys(("abs", "capitalize", "e", "escape", "filesizeformat", "float"), _whole),
    **dict.fromkeys(("forceescape", "int", "lower", "reverse", "safe", "string"), _whole),
    **dict.fromkeys(("upper", "truncate", "xmlattr"), _whole),
    **dict.fromkeys(("title", "urlencode", "wordcount"), _slow),
    **dict.fromkeys(("dictsort", "groupby", "max", "min", "sort", "unique"), _compared),
    **dict.fromkeys(("items", "map", "reject", "rejectattr", "select", "selectattr"), _nothing),
    "batch": _batch,
    "center": _center,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "list": _list,
    "pprint": _pprint,
    "replace": _replace,
    "round": _round,
    "slice": _slice,
    "striptags": _slower,
    "sum": _sum,
    "tojson": _tojson,
    "trim": _trim,
    "wordwrap": _wordwrap,
}
_LAZY: Final = frozenset({"items", "map", "reject", "rejectattr", "select", "selectattr"})
"""They hand on one item at a time, and are paid for by the item."""
_TAKES_ITERATORS: Final = _LAZY | {"attr", "d", "default", "first", "last"}

_JINJA_FILTERS: Final[Mapping[str, Any]] = DEFAULT_FILTERS
_JINJA_TESTS: Final[Mapping[str, Any]] = DEFAULT_TESTS

_TESTS: Final[Mapping[str, Price]] = {
    **dict.fromkeys(("divisibleby", "even", "odd"), _numbers),
    **dict.fromkeys(("!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "gt"), _whole),
    **dict.fromkeys(("greaterthan", "in", "le", "lessthan", "lower", "lt", "ne"), _whole),
    **dict.fromkeys(("upper", "filter", "test"), _whole),
    **dict.fromkeys(("boolean", "callable", "defined", "escaped", "false", "float"), _nothing),
    **dict.fromkeys(("integer", "iterable", "mapping", "none", "number", "sameas"), _nothing),
    **dict.fromkeys(("sequence", "string", "true", "undefined"), _nothing),
}


def _paid(function: Callable[..., Any], price: Price, *, lazy: bool, iterators: bool) -> Any:
    """*function*, a filter or test of jinja2's, as one that is paid for."""
    wants = getattr(function, "jinja_pass_arg", None)
    wanted = wants.name if wants is not None else ""

    @pass_context
    def paid(context: Context, value: Any, *values: Any, **named: Any) -> Any:
        fuel: Fuel = context.environment.fuel  # type: ignore[attr-defined]
        fuel.spend(60)
        for each in (*values, *named.values()):
            fuel.weigh(each, swell=True)
        if isinstance(value, int):
            fuel.weigh(value)
        if lazy and isinstance(value, Iterator):
            fuel.spend(_CHAINED)
        if not iterators and isinstance(value, Iterator):
            value = list(value)
        price(fuel, context.eval_ctx, (value, *values), named)
        if wanted == "context":
            result = function(context, value, *values, **named)
        elif wanted == "eval_context":
            result = function(context.eval_ctx, value, *values, **named)
        elif wanted == "environment":
            result = function(context.environment, value, *values, **named)
        else:
            result = function(value, *values, **named)
        if isinstance(result, int):
            fuel.weigh(result)
        if isinstance(result, Iterator):
            return fuel.paced(result, _each(values, named) if lazy else 12)
        return result

    return paid


FILTERS: Final[Mapping[str, Any]] = {
    **{
        name: _paid(
            _JINJA_FILTERS[name], price, lazy=name in _LAZY, iterators=name in _TAKES_ITERATORS
        )
        for name, price in _FILTERS.items()
    },
}
TESTS: Final[Mapping[str, Any]] = {
    name: _JINJA_TESTS[name]
    if price is _nothing
    else _paid(_JINJA_TESTS[name], price, lazy=False, iterators=False)
    for name, price in _TESTS.items()
}

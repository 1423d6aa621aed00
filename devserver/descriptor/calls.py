"""What a template may call besides its macros, at what cost: methods, `format`, `range`."""

from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Any, Final

from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext
from jinja2.sandbox import SandboxedEnvironment, SandboxedEscapeFormatter, SandboxedFormatter
from jinja2.utils import Cycler
from markupsafe import Markup

from devserver.descriptor.fuel import (
    HASHABLE_BITS,
    RANGE,
    Exceeded,
    Fuel,
    pay_for_spec,
    swollen,
)

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
_WIDTHS: Final = frozenset({"center", "ljust", "rjust", "zfill"})
_PARTS: Final = frozenset({"rsplit", "split", "splitlines"})
_SEARCHING: Final = frozenset(
    {"lstrip", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "strip"}
)
"""Each character is looked for among those of the argument, or against all of it."""


class _Formatter(SandboxedFormatter):
    """`str.format`, paid for: each field's width, precision and text before it is built."""

    def __init__(self, sandbox: SandboxedEnvironment, fuel: Fuel, **more: Any) -> None:
        super().__init__(sandbox, **more)
        self._fuel = fuel

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

    __slots__ = ("_fuel", "_mapped", "_sandbox", "_text")

    def __init__(self, sandbox: SandboxedEnvironment, fuel: Fuel, method: Any) -> None:
        self._sandbox = sandbox
        self._fuel = fuel
        self._text: str = method.__self__
        self._mapped = method.__name__ == "format_map"

    def __call__(self, *args: Any, **named: Any) -> str:
        text = self._text
        self._fuel.spend(len(text))
        if self._mapped:
            (named,), args = args, ()
        if isinstance(text, Markup):
            escaping = _EscapeFormatter(self._sandbox, self._fuel, escape=text.escape)
            return Markup(escaping.vformat(text, args, named))
        return _Formatter(self._sandbox, self._fuel).vformat(text, args, named)


def bounded_range(*bounds: int) -> range:
    """`range`, of at most `RANGE` numbers, none of them past 60 bits."""
    made = range(*bounds)
    if abs(made.stop - made.start) // abs(made.step) > RANGE or any(
        bound.bit_length() > HASHABLE_BITS for bound in bounds
    ):
        raise Exceeded(f"a range holds at most {RANGE:,} numbers")
    return made


def pay_for_method(
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
    _pay_for_text(fuel, obj, name, given)


def _pay_for_text(fuel: Fuel, text: str, name: str, given: tuple[Any, ...]) -> None:
    """Pay for a method of *text*, all its arguments *given* in order."""
    fuel.spend(2 * len(text)) if name in _PARTS else fuel.text(len(text))
    words = [each for each in given if isinstance(each, str)]
    number = max([0, *(each for each in given if isinstance(each, int))])
    if name in _WIDTHS:
        fuel.text(number)
    elif name == "expandtabs":
        fuel.text(text.count("\t") * (number or 8))
    elif name in _SEARCHING and words:
        fuel.spend(len(text) * len(words[0]) // 32)
    elif name == "join" and given and hasattr(given[0], "__len__"):
        fuel.text(len(given[0]) * len(text))
    elif name == "replace" and len(words) > 1:
        fuel.text(text.count(words[0]) * swollen(words[1]))

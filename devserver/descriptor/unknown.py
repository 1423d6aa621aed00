"""Undefined values that remember where the template named them."""

from typing import Any

from jinja2.exceptions import UndefinedError
from jinja2.runtime import StrictUndefined
from jinja2.utils import missing

Place = tuple[str, int]
"""A template's name and an offset in its text."""


class UnknownName(UndefinedError):
    """An undefined value was used. `place` is where it was named, `obj` what it was asked of."""

    def __init__(self, message: str, undefined: "Unknown") -> None:
        super().__init__(message)
        self.place = undefined._place
        self.name = undefined._undefined_name
        self.obj = undefined._undefined_obj


class Unknown(StrictUndefined):
    """What a name stands for that has no value: any use of it but `is defined` raises.

    The place is private, since a template may ask an undefined value for any other name.
    """

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

    def named_at(self, template: str, offset: int) -> None:
        if self._place is None:
            self._place = template, offset

"""A measured figure beside the bar it has to keep."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` in `unit`; `bar` is the most it may be, None where it is for information."""

    name: str
    value: float
    unit: str
    spread: str = ""
    bar: float | None = None

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "ok" if self.value <= self.bar else "MISSED"


def median(name: str, values: Sequence[float], unit: str, bar: float | None = None) -> Figure:
    """The median of *values*, with the range and the number of them."""
    spread = f"{min(values):.1f} to {max(values):.1f}, n={len(values)}"
    return Figure(name=name, value=statistics.median(values), unit=unit, spread=spread, bar=bar)


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], bar: float) -> Figure:
    """The medians' ratio: what holds when the machine's speed drifts."""
    return Figure(
        name=name, value=statistics.median(ours) / statistics.median(theirs), unit="x", bar=bar
    )


def table(figures: Sequence[Figure]) -> str:
    rows = [("what", "value", "bar", "", "range")]
    rows += [
        (
            each.name,
            f"{each.value:.2f} {each.unit}",
            "" if each.bar is None else f"{each.bar:g} {each.unit}",
            each.verdict,
            each.spread,
        )
        for each in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

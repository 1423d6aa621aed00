"""What the dashboard says of each target: how far it came, why no further, and what to do there."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from devserver.commands import AGREEABLE
from devserver.descriptor.visible import visible
from devserver.events import TargetView
from devserver.model import TargetState, Verdict
from devserver.web.dashboard.desk import Desk
from devserver.web.dashboard.hostpages import HostPage, host_pages
from devserver.web.dashboard.standing import Step, steps, tint

PAGES_ON = 6
"""Pages of the app that a row leads to."""
NOT_GENUINE = "CALLBACK-NOT-GENUINE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One target."""

    view: TargetView
    steps: tuple[Step, ...]
    tint: str
    page: str
    """The host's own page of apps."""
    pages: tuple[HostPage, ...]
    gone: bool
    asks: bool
    """Whether it waits for the user's yes."""
    again: datetime | None
    """When the next try is: a number of seconds would stand still on the page."""
    doubted: str
    """The name of the callback for want of which nothing is proved; empty: that is not why."""
    logged: str
    """What the target's own log said about this revision of the app."""


def rows(desk: Desk) -> tuple[Row, ...]:
    """Those whose address is known, in their order."""
    return tuple(_row(desk, each) for each in desk.bus.state.targets.values() if each.url)


def _row(desk: Desk, target: TargetView) -> Row:
    last = target.last
    wait = last.retry_in if last else None
    return Row(
        view=target,
        steps=steps(target),
        tint=tint(target.state.value),
        page=f"{target.url}/plugins/servlet/upm",
        pages=_pages_on(target, desk),
        gone=target.state is TargetState.UNREGISTERED,
        asks=last is not None and last.code in AGREEABLE,
        again=last.time + timedelta(seconds=wait) if last and wait else None,
        doubted=_doubted(desk, target),
        logged=_logged(desk, target),
    )


def _pages_on(target: TargetView, desk: Desk) -> tuple[HostPage, ...]:
    """What of the newest descriptor can be looked at there, once it or an earlier one is there."""
    newest = desk.published.newest
    there = target.confirmed or any(each.state is TargetState.INSTALLED for each in target.path)
    if newest is None or not there or target.state is TargetState.UNREGISTERED:
        return ()
    descriptor = newest.descriptors.get(target.name, newest.first)
    return tuple(islice(host_pages(descriptor, target.url), PAGES_ON))


def _doubted(desk: Desk, target: TargetView) -> str:
    if target.last is None or target.last.code != NOT_GENUINE:
        return ""
    numbers = (
        each.number
        for each in desk.record.newest()
        if each.finding.verdict is not Verdict.GENUINE
        and each.finding.target in (None, target.name)
    )
    number = next(numbers, None)
    return f"c{number}" if number else ""


def _logged(desk: Desk, target: TargetView) -> str:
    revision = target.last.revision if target.last else None
    return "\n".join(
        visible(desk.redactor.text(line))
        for each in desk.bus.state.logs
        if (each.target, each.revision) == (target.name, revision)
        for line in each.lines
    )

"""What a page says of a state, without a loop behind it and without a browser."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import aiohttp
import pytest
from dashboard.alone import Dashboard, dashboard

from devserver.callbacks.call import Finding
from devserver.callbacks.record import Recorded
from devserver.events import Started, TargetChanged
from devserver.model import Descriptor, Kind, Revision, TargetState, Verdict


@pytest.fixture
async def alone() -> AsyncIterator[Dashboard]:
    """One target, jira, and nothing else yet."""
    async with dashboard() as made:
        started = Started(
            urls={"descriptor": "http://localhost:8000/atlassian-plugin.xml"},
            targets={"jira": "http://localhost:2990/jira"},
            ready_ms=1,
            watcher="inotify",
        )
        made.bus.publish(started)
        yield made


async def page(alone: Dashboard, query: str = "") -> str:
    async with aiohttp.ClientSession() as client, client.get(f"{alone.url}/{query}") as answer:
        assert answer.status == 200
        return await answer.text()


def is_now(alone: Dashboard, state: TargetState, **more: object) -> TargetChanged:
    event = TargetChanged(
        target="jira", state=state, attempt=1, revision="r1", digest="d", ms=3,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip
    alone.bus.publish(event)
    return event


async def test_each_view_has_a_title_of_its_own(alone: Dashboard) -> None:
    """Tabs, bookmarks and screen readers tell them apart by it."""
    views = ("", "?view=descriptor", "?view=traffic", "?view=app")
    titles = [re.findall("<title>(.*)</title>", await page(alone, each)) for each in views]

    assert [each for (each,) in titles] == [
        "starting – upm-dev",
        "starting – Descriptor – upm-dev",
        "starting – Traffic – upm-dev",
        "starting – App – upm-dev",
    ]


async def test_the_next_try_is_told_by_the_clock(alone: Dashboard) -> None:
    """A page is drawn when something happens: a number of seconds would stand still."""
    event = is_now(alone, TargetState.UNAVAILABLE, reason="it is down", retry_in=30.0)
    then = (event.time + timedelta(seconds=30)).astimezone()
    today = then.date() == datetime.now().astimezone().date()

    assert f"trying again at {then:{'%H:%M:%S' if today else '%d %b %H:%M'}}" in await page(alone)


@pytest.mark.parametrize(
    ("verdict", "target", "leads"),
    [
        (Verdict.UNVERIFIABLE, "jira", True),
        (Verdict.FORGED, "jira", True),
        (Verdict.FORGED, None, True),
        (Verdict.GENUINE, "jira", False),
        (Verdict.FORGED, "wiki", False),
    ],
)
async def test_a_callback_that_proves_nothing_is_led_to(
    alone: Dashboard, verdict: Verdict, target: str | None, leads: bool
) -> None:
    """From the target that is unconfirmed for want of it, to what was signed."""
    finding = Finding(verdict=verdict, event="installed", target=target, reason="why")
    alone.record.add(
        Recorded(
            finding=finding, method="POST", path="/i", headers=(), body=b"", status=401, ms=1
        )
    )  # fmt: skip
    is_now(alone, TargetState.UNCONFIRMED, code="NO-CALLBACK", reason="none came")
    assert "what was signed" not in await page(alone)
    is_now(alone, TargetState.UNCONFIRMED, code="CALLBACK-NOT-GENUINE", reason="not proved")

    link = re.search(
        r'href="([^"]+)">The callback that came, and what was signed', await page(alone)
    )

    assert (link is not None) == leads
    assert link is None or link[1].replace("&amp;", "&") == "/?view=traffic&item=c1"


async def test_a_revision_that_is_not_kept(alone: Dashboard) -> None:
    """The newest is shown in its place, and that is said."""
    descriptor = Descriptor(
        kind=Kind.REMOTE_XML, key="key", name="name", version="1", body=b"<a/>", canonical="c"
    )
    alone.published.add(Revision(1, {"jira": descriptor}))

    assert "r99 is not kept (any more): this is r1" in await page(alone, "?view=descriptor&rev=r99")
    assert "is not kept" not in await page(alone, "?view=descriptor&rev=r1")


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-origin", 200), ("none", 200)]
)
async def test_who_may_have_a_file_made(alone: Dashboard, site: str, status: int) -> None:
    """Browsers say whose page asks."""
    async with (
        aiohttp.ClientSession(headers={"Sec-Fetch-Site": site}) as client,
        client.get(f"{alone.url}/traffic.har") as answer,
    ):
        assert answer.status == status

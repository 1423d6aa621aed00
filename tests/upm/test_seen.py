"""What no answer says and upm-dev sees by itself: each has its code, its words and its event."""

import json
from collections.abc import Callable

import pytest
from registrar.house import house
from upm.scripted import KEY, Request, answer, installing, scripted

from devserver.model import TargetState
from devserver.registrar import Limits
from devserver.upm import causes

LIMITS = Limits(first_retry=60.0, last_retry=60.0, task=1.0, confirm=0.1, side=0.3)


def assert_told(code: str, reason: str | None, remedy: str | None, words: str, to_do: str) -> None:
    assert words in (reason or "")
    assert to_do in (remedy or "")
    assert causes.page(code) is not None


async def test_installed_and_never_fetched() -> None:
    """Somebody answers the target in our place: that it lists the version proves nothing."""
    async with scripted(by=installing()) as host, house(host.url, limits=LIMITS) as our:
        our.save()
        event = await our.until(TargetState.UNCONFIRMED)

    assert event.code == "NOT-FETCHED"
    assert our.states()[:3] == ["registering", "accepted", "installed"]
    words = "UPM lists it, but the target never fetched r1 from us"
    assert_told("NOT-FETCHED", event.reason, event.remedy, words, "keeps copies")


async def test_a_task_and_an_app_that_nobody_remembers() -> None:
    """The host was restarted in the middle: tried again."""
    upm = installing()

    def forgetful(request: Request) -> bytes | None:
        return answer(404) if request.method == "GET" and "?" not in request.path else upm(request)

    async with scripted(by=forgetful) as host, house(host.url, limits=LIMITS) as our:
        our.save()
        event = await our.until(TargetState.UNAVAILABLE)

    assert event.code == "TASK-FORGOTTEN"
    assert event.retry_in is not None
    words = "jira has forgotten the installation: it was restarted"
    assert_told("TASK-FORGOTTEN", event.reason, event.remedy, words, "registered again")


async def test_what_waits_for_a_restart() -> None:
    """The host says so in what it lists (upm-protocol.md §4.2)."""
    upm = installing(restartState="upgrade")
    async with scripted(by=upm) as host, house(host.url, limits=LIMITS) as our:
        our.save()
        event = await our.until(TargetState.RESTART_NEEDED)

    assert event.code == "RESTART-NEEDED"
    words = "jira will run it after a restart (upgrade); until then it runs what it had"
    assert_told("RESTART-NEEDED", event.reason, event.remedy, words, "restart the host")


@pytest.mark.parametrize("header", ["AUTHENTICATION_DENIED", "AUTHENTICATED_FAILED"])
async def test_a_denied_login_is_asked_once(header: str) -> None:
    """A HEAD that says so is enough: no GET with the same secret follows (upm-protocol.md §5.4)."""
    denied = answer(403, X_Seraph_LoginReason=header)

    def strict(request: Request) -> bytes | None:
        return denied

    async with scripted(by=strict) as host, house(host.url, limits=LIMITS) as our:
        our.save()
        event = await our.until(TargetState.REJECTED)

    assert event.code in ("UPM403-LOGIN-DENIED", "UPM401-CREDENTIALS")
    assert len(host.requests) == 1


async def test_drift_has_its_words() -> None:
    """Gone, and replaced by somebody: what is listed there is named."""
    state = {"app": b""}
    upm: Callable[[Request], bytes | None] = installing()

    def drifting(request: Request) -> bytes | None:
        if request.path.endswith("-key") and state["app"]:
            return state["app"]
        return upm(request)

    limits = Limits(first_retry=60.0, last_retry=60.0, confirm=0.05, check=0.1, side=0.3)
    listed = json.dumps({"key": KEY, "version": "2.0", "vendor": {"name": "Them"}})
    for app, code, words in (
        (answer(404), "DRIFT-GONE", f"jira no longer lists {KEY}: it was removed there"),
        (
            answer(200, listed),
            "DRIFT-REPLACED",
            f"jira lists {KEY} 2.0 of Them in place of our 1.0: somebody else installed it",
        ),
    ):
        state["app"], upm = b"", installing()
        async with scripted(by=drifting) as host, house(host.url, limits=limits) as our:
            our.save()
            await our.until(TargetState.UNCONFIRMED)
            state["app"] = app
            event = await our.until(TargetState.DRIFTED)

        assert event.code == code
        assert words in (event.reason or "")
        assert event.remedy

"""What an origin asked us to leave is left, by all that speak to it."""

import asyncio

import pytest
from upm.scripted import answer, scripted, token

from devserver.credentials import Credentials
from devserver.errors import CredentialsRejected, TargetUnavailable
from devserver.model import Target
from devserver.upm.client import Upm, upms_of
from devserver.upm.wire import connections

NO = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")


def wrong(target: Target) -> Credentials:
    origin = "/".join(target.url.split("/")[:3])
    return Credentials(origin=origin, user="admin", secret="wrong-one", source="the test")


async def refused(upm: Upm) -> str:
    with pytest.raises(CredentialsRejected) as caught:
        await upm.plugin("com.example.hello")
    return caught.value.code


async def test_a_wrong_password_goes_to_an_origin_once() -> None:
    """However many targets are there, and all at once; when the user insists, once more."""
    async with scripted([], last=NO) as host, connections() as session:
        origin = host.url.removesuffix("/jira")
        targets = [Target(name=f"t{n}", url=f"{origin}/t{n}") for n in range(5)]
        upms = upms_of(session, targets, wrong)
        codes = await asyncio.gather(*map(refused, upms.values()))
        assert set(codes) == {"UPM401-CREDENTIALS"}
        assert len(host.requests) == 1

        for each in upms.values():
            each.insist()
        await asyncio.gather(*map(refused, upms.values()))
        assert len(host.requests) == 2


async def test_each_origin_is_asked_by_itself() -> None:
    """What one host rejects may be right for the other."""
    async with (
        scripted([], last=NO) as strict,
        scripted([], last=token()) as open_,
        connections() as session,
    ):
        targets = [Target(name="a", url=strict.url), Target(name="b", url=open_.url)]
        upms = upms_of(session, targets, wrong)
        await refused(upms["a"])
        assert await upms["b"].token() == "-42"


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_holds_for_every_request(status: int) -> None:
    """None is sent before the time is over, whoever asks and for what; then they go on."""
    busy = answer(status, Retry_After="0.4")
    async with scripted([busy], last=token()) as host, connections() as session:
        targets = [Target(name="a", url=host.url), Target(name="b", url=host.url)]
        upms = upms_of(session, targets, wrong)
        with pytest.raises(TargetUnavailable) as first:
            await upms["a"].token()
        left = 0.4
        for asking in (upms["a"].token(warm=True), upms["b"].plugin("k"), upms["b"].identity()):
            with pytest.raises(TargetUnavailable) as caught:
                await asking
            assert caught.value.code == first.value.code
            left = caught.value.retry_after or 0.0
            assert 0 < left <= 0.4
        assert len(host.requests) == 1

        await asyncio.sleep(left)
        assert await upms["b"].token() == "-42"

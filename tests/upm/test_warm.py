"""The token that is asked for before it is needed."""

import asyncio

from upm.scripted import answer, scripted, token, upm_of

from devserver.upm.pace import Limits
from devserver.upm.warm import WarmToken


async def taken(limits: Limits) -> tuple[list[str], list[str]]:
    """Two tokens, the first of them warm, and how each was asked for."""
    async with (
        scripted([answer(200, upm_token="1"), token("2"), token("3")]) as host,
        upm_of(host.url) as upm,
    ):
        warm = WarmToken(upm, limits)
        async with asyncio.TaskGroup() as tasks:
            warm.warm(tasks)
            warm.warm(tasks)
        tokens = [await warm.take(), await warm.take()]
    return tokens, [each.method for each in host.requests]


async def test_one_is_at_hand_and_serves_once() -> None:
    """It is asked for once, by HEAD; the next one, which nobody asked for, by GET."""
    assert await taken(Limits()) == (["1", "2"], ["HEAD", "GET"])


async def test_one_that_is_about_to_expire_is_not_used() -> None:
    """It would be refused, and a save would wait for two more requests."""
    assert await taken(Limits(token=0.0)) == (["2", "3"], ["HEAD", "GET", "GET"])

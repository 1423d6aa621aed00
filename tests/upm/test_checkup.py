"""What the doctor sees of one target, byte by byte."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from upm.scripted import answer, scripted, token, upm_of

from devserver.simulator import simulated_host
from devserver.simulator.profile import load_profile
from devserver.upm.checkup import UPM_KEY, Check, Level, Probe, checkup


def status(state: str = "RUNNING", *, ahead: float = 0.0) -> bytes:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    return answer(200, json.dumps({"state": state}), Date=date)


def listing(version: str) -> bytes:
    return answer(200, json.dumps({"plugins": [{"key": UPM_KEY, "version": version}]}))


SAFE = answer(200, '{"enabled":true}')
NORMAL = answer(200, '{"enabled":false}')


async def checks(*answers: bytes) -> dict[str, Check]:
    async with scripted(answers, last=answer(404)) as host, upm_of(host.url) as upm:
        return {check.name: check async for check in checkup(upm)}


async def test_a_healthy_target() -> None:
    """Nothing to say but that all is well."""
    found = await checks(status(), token(), listing("4.2"), NORMAL)

    assert {check.level for check in found.values()} == {Level.OK}
    assert found["UPM"].message == "version 4.2"


async def test_what_keeps_installs_away() -> None:
    """Safe mode, an old UPM, one that wants signed apps, a product that still starts."""
    old = await checks(status("STARTING"), token(), listing("2.7.1"), SAFE)
    new = await checks(status(), token(), listing("8.0.17"), NORMAL)

    assert old["product"].level is Level.WARNING
    assert old["UPM"].level is Level.WARNING
    assert old["safe mode"].level is Level.FAILURE
    assert "upload.enabled" in new["UPM"].remedy


async def test_clocks() -> None:
    """A minute is worth a word; five make signatures void."""
    near = await checks(status(ahead=10))
    off = await checks(status(ahead=120))
    far = await checks(status(ahead=-900))

    assert near["clock"].level is Level.OK
    assert off["clock"].level is Level.WARNING
    assert far["clock"].level is Level.FAILURE
    assert "behind" in far["clock"].message


async def test_a_name_that_nobody_knows() -> None:
    """The first thing that fails is the last that is said."""
    async with upm_of("https://nobody.invalid/jira") as upm:
        found = [check async for check in checkup(upm)]

    assert [(check.name, check.level) for check in found] == [("name", Level.FAILURE)]


async def test_no_upm_anywhere() -> None:
    """Where no other context path has one either, the refusal itself is shown."""
    found = await checks(status())

    assert found["UPM"].code == "UPM404-NOT-FOUND"
    assert "a UPM answers" not in found["UPM"].remedy


async def test_a_list_that_is_refused() -> None:
    """What comes in its place is the answer's own refusal."""
    found = await checks(status(), token(), answer(503))

    assert found["UPM"].code == "UPM503-STARTING"


async def test_one_line_for_each_step_of_the_way() -> None:
    """Name, TCP, TLS: what fails is told by itself, and ends the looking."""
    async with (
        simulated_host(port=0) as plain,
        upm_of(plain.url.replace("http:", "https:")) as upm,
    ):
        speaks_no_tls = [check async for check in checkup(upm)]
    async with upm_of("http://localhost:1/jira") as upm:
        nobody_there = [check async for check in checkup(upm)]

    assert [(each.name, each.level.value) for each in speaks_no_tls] == [
        ("name", "ok"),
        ("proxy", "ok"),
        ("TCP", "ok"),
        ("TLS", "failure"),
    ]
    assert speaks_no_tls[-1].code == "NET-TLS"
    assert "http://" in speaks_no_tls[-1].remedy
    assert [each.name for each in nobody_there] == ["name", "proxy", "TCP"]
    assert nobody_there[-1].code == "NET-CONNECTION-REFUSED"


@pytest.mark.parametrize("upload", [True, False])
async def test_whether_jars_are_taken(upload: bool) -> None:
    """Asked with an empty one; where upload is off, the switch is named and JARs are left out."""
    profile = replace(load_profile("dc"), upload=upload)
    async with (
        simulated_host(port=0, profile=profile) as host,
        upm_of(host.url, secret="admin") as upm,
    ):
        probe = Probe()
        found = {
            each.name: each async for each in checkup(upm, probe=("http://localhost:1", probe))
        }
        plugins = await upm.plugins()

    assert found["upload"].level is (Level.OK if upload else Level.WARNING)
    assert ("-Dupm.plugin.upload.enabled=true" in found["upload"].remedy) is not upload
    assert ("no JARs" in found["kinds"].message) is not upload
    assert not [each for each in plugins if "probe" in each.key]

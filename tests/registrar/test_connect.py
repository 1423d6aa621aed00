"""Connect JSON: the host calls back before its task ends, and signs with a JWT."""

import hashlib
import json

import pytest
from registrar.house import QUICK, House, house, running

from devserver.events import CallbackReceived
from devserver.model import CallbackSpec, Descriptor, Kind, Proof, TargetState, Verdict
from devserver.simulator import simulated_host


def connect(our: House, *, signed: bool, version: str = "1.0") -> Descriptor:
    """A Connect descriptor with `installed` and, where *signed*, the wish for a signed one."""
    said = {
        "key": "com.example.connect",
        "name": "Hello",
        "version": version,
        "baseUrl": our.url,
        "authentication": {"type": "jwt"},
        "lifecycle": {"installed": "/installed", "enabled": "/enabled"},
        "scopes": ["READ"],
        "modules": {"generalPages": [{"key": "page", "url": "/page", "name": {"value": version}}]},
        "apiMigrations": {"signed-install": signed},
    }
    body = json.dumps(said).encode()
    return Descriptor(
        kind=Kind.CONNECT_JSON,
        key="com.example.connect",
        name="Hello",
        version=version,
        body=body,
        canonical=hashlib.sha256(body).hexdigest(),
        base_url=our.url,
        confirming=CallbackSpec("installed", "/installed"),
        callbacks=(CallbackSpec("installed", "/installed"), CallbackSpec("enabled", "/enabled")),
    )


def verdicts(our: House, event: str) -> list[Verdict]:
    return [
        each.verdict
        for each in our.events
        if isinstance(each, CallbackReceived) and each.event == event
    ]


async def test_a_signed_install_confirms() -> None:
    """RS256 with the host's key; later calls with the secret that it shared."""
    async with simulated_host(port=0, profile="connect") as host, house(host) as our:
        for number in (1, 2):
            our.offer(connect(our, signed=True, version=f"{number}.0"))
            event = await our.until(TargetState.CONFIRMED, revision=f"r{number}")
            assert event.by is Proof.CALLBACK
        await our.wait(lambda: len(verdicts(our, "enabled")) == 2)

    assert verdicts(our, "installed") == [Verdict.GENUINE] * 2
    assert verdicts(our, "enabled") == [Verdict.GENUINE] * 2


async def test_facts_come_in_any_order() -> None:
    """`installed` decides about the installation, so it comes before the task ends."""
    async with simulated_host(port=0, profile="connect") as host, house(host) as our:
        our.offer(connect(our, signed=True))
        await our.until(TargetState.CONFIRMED)

    assert our.states()[-2:] == ["installed", "confirmed"]


async def test_an_unsigned_first_install_is_not_a_proof() -> None:
    """Old hosts do not sign it: installed, and said why that is not confirmed."""
    async with simulated_host(port=0, profile="connect") as host, house(host) as our:
        our.offer(connect(our, signed=False))
        event = await our.until(TargetState.UNCONFIRMED)
        our.offer(connect(our, signed=False, version="2.0"))
        later = await our.until(TargetState.UNCONFIRMED, revision="r2")

    assert event.code == later.code == "CALLBACK-NOT-GENUINE"
    assert "signed install" in (event.reason or "")
    assert "first installed call that was not signed" in (later.reason or "")
    for told in (event, later):
        assert '"apiMigrations": {"signed-install": true}' in (told.remedy or "")
        assert (told.ms or 0) < QUICK.confirm * 1000


@pytest.mark.parametrize("signed", [True, False])
async def test_nothing_is_left(signed: bool) -> None:
    """Taken away like any other."""
    async with simulated_host(port=0, profile="connect") as host:
        async with house(host, run=False) as our:
            async with running(our):
                our.offer(connect(our, signed=signed))
                await our.until(TargetState.INSTALLED)
            assert await our.registrars[0].retire() == ()

        assert "com.example.connect" not in host.state.plugins

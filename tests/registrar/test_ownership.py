"""Whose app it is: nothing of anybody else's is overwritten, drift is noticed, keys are kept."""

from pathlib import Path

import pytest
from registrar.house import QUICK, house, remote, running
from upm.scripted import RESET, answer, scripted

from devserver.errors import TargetRefused
from devserver.events import Notice
from devserver.model import Proof, Target, TargetState
from devserver.registrar import ByUri, Limits, Permission, Registrar, Where
from devserver.simulator import Fault, SimulatedHost
from devserver.upm.journal import Journal

KEY = "com.example.hello"
CONFIRMED = TargetState.CONFIRMED
LOOKING = Limits(confirm=2.0, first_retry=0.02, last_retry=0.1, check=0.1)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.sqlite", project="/home/me/app")


async def install_somehow(host: SimulatedHost, **descriptor: str) -> None:
    """Have an app on *host* that the next house knows nothing of."""
    async with house(host, permissions=(Permission.TAKE_OVER,)) as other:
        other.save(**descriptor)
        await other.until(CONFIRMED)


async def test_what_we_did_not_install_is_not_overwritten(host: SimulatedHost) -> None:
    """Without the user's word nothing is POSTed; with it, it is taken over."""
    await install_somehow(host, version="9.0")
    async with house(host) as our:
        our.save()
        event = await our.until(TargetState.REFUSED)
        our.registrars[0].again(Permission.TAKE_OVER)
        await our.until(CONFIRMED)

    assert event.code == "NOT-OURS"
    assert f"{KEY} 9.0" in (event.reason or "")
    assert "--take-over" in (event.remedy or "")
    assert our.states()[0] == "refused"


async def test_what_the_journal_knows_is_ours(host: SimulatedHost, journal: Journal) -> None:
    """After a crash, or with --keep, the next run goes on without asking."""
    for version in ("1.0", "2.0"):
        async with house(host, journal=journal) as our:
            our.save(version=version)
            await our.until(CONFIRMED)
    (entry,) = journal.entries()

    assert entry.key == KEY
    assert entry.url == host.url


async def test_the_journal_is_written_before_the_post(journal: Journal) -> None:
    """Whatever happens to us after the request is out, the next run knows of it."""
    limits = Limits(first_retry=60.0, last_retry=60.0)
    async with (
        scripted([answer(200, upm_token="1"), answer(404), RESET]) as host,
        house(host.url, journal=journal, limits=limits) as our,
    ):
        our.save()
        await our.until(TargetState.UNAVAILABLE)

        assert host.requests[-1].method == "POST"
        assert [each.key for each in journal.entries()] == [KEY]


async def test_a_refused_post_leaves_no_entry(host: SimulatedHost, journal: Journal) -> None:
    """Nothing came of it, so there is nothing to take away."""
    host.script(Fault(kind="status", stage="install", status=409, times=1))
    async with house(host, journal=journal) as our:
        our.save()
        await our.until(TargetState.REFUSED)

        assert journal.entries() == ()
        assert our.registrars[0].installed == ()


async def test_a_refused_post_leaves_what_an_earlier_run_left(
    host: SimulatedHost, journal: Journal
) -> None:
    """The app is there still, kept on purpose: it stays ours, and `unregister` finds it."""
    async with house(host, journal=journal) as our:
        our.save()
        await our.until(CONFIRMED)
    journal.keep(host.url, KEY)
    host.script(Fault(kind="status", stage="install", status=409, times=1))
    async with house(host, journal=journal) as our:
        our.save(version="2.0")
        await our.until(TargetState.REFUSED)

    (entry,) = journal.entries()
    assert (entry.key, entry.kept) == (KEY, True)


async def test_what_never_arrived_is_not_said_to_be_taken_away(
    host: SimulatedHost, journal: Journal
) -> None:
    """The target could not fetch it, so there was nothing to unregister."""
    async with house(host, journal=journal, run=False) as our:
        our.registrars[0] = Registrar(
            our.registrars[0].target,
            our.upms["jira"],
            our.bus,
            delivery=ByUri(our.upms["jira"], Where("http://localhost:9")),
            limits=QUICK,
            journal=journal,
        )
        async with running(our):
            our.save()
            await our.until(TargetState.UNAVAILABLE)

        assert await our.registrars[0].retire() == ()

    assert "unregistered" not in our.states()
    assert journal.entries() == ()


async def test_an_unregistered_app_leaves_no_entry(host: SimulatedHost, journal: Journal) -> None:
    """Taken away there, forgotten here."""
    async with house(host, journal=journal, run=False) as our:
        async with running(our):
            our.save()
            await our.until(CONFIRMED)
            assert len(journal.entries()) == 1

        assert await our.registrars[0].retire() == ()

    assert journal.entries() == ()


async def test_a_broken_journal_is_said_and_endured(host: SimulatedHost, tmp_path: Path) -> None:
    """A file that is no journal costs a warning, not the registration."""
    broken = tmp_path / "journal.sqlite"
    broken.write_text("this is no database, whatever its name says" * 100)
    async with house(host, journal=Journal(broken)) as our:
        our.save()
        await our.until(CONFIRMED)

    (notice,) = [event for event in our.events if isinstance(event, Notice)]
    assert str(broken) in notice.message
    assert notice.code == "JOURNAL-BROKEN"


async def test_a_changed_key_waits_for_the_user(host: SimulatedHost) -> None:
    """To a host another key is another app: withheld until it is allowed; the old one goes."""
    async with house(host) as our:
        our.save()
        await our.until(CONFIRMED)
        our.save(key="com.example.other")
        event = await our.until(TargetState.REFUSED)
        assert "com.example.other" not in host.state.plugins
        our.registrars[0].again(Permission.KEY_CHANGE)
        await our.until(CONFIRMED, revision="r2")
        await host.wait(lambda: KEY not in host.state.plugins)

    assert event.code == "KEY-CHANGED"
    assert f"from {KEY} to com.example.other" in (event.reason or "")


async def test_the_old_key_again_needs_nobody(host: SimulatedHost) -> None:
    """Writing the old key back is no change."""
    async with house(host) as our:
        our.save()
        await our.until(CONFIRMED)
        our.save(key="com.example.other")
        await our.until(TargetState.REFUSED)
        our.save()

        event = await our.until(CONFIRMED, revision="r3")

    assert event.by is Proof.UNCHANGED


async def test_a_target_elsewhere_is_not_written_to_unasked(host: SimulatedHost) -> None:
    """A host that is not this machine and not marked as one for development: nothing is sent."""
    async with house(host, run=False) as our:
        upm = our.upms["jira"]
        far = Target(name="jira", url="https://jira.example.com", user="admin")
        our.registrars[0] = Registrar(
            far, upm, our.bus, delivery=ByUri(upm, Where(our.url)), limits=QUICK
        )
        async with running(our):
            our.save()
            event = await our.until(TargetState.REFUSED)
            assert KEY not in host.state.plugins
            our.registrars[0].again(Permission.INSTALL)
            await our.until(CONFIRMED)

    assert event.code == "TARGET-NOT-DEV"
    assert "--yes" in (event.remedy or "")


async def test_nothing_is_sent_before_the_user_agrees() -> None:
    """Not one request, of whoever asks: no token, no key of the host's, no look; then all of it."""
    async with scripted([], last=answer(404)) as host, house(host.url, run=False) as our:
        far = Target(name="jira", url="https://jira.example.com", user="admin")
        registrar = Registrar(
            far,
            our.upms["jira"],
            our.bus,
            delivery=ByUri(our.upms["jira"], Where(our.url)),
            limits=LOOKING,
        )
        our.registrars[0] = registrar
        async with running(our):
            our.save()
            await our.until(TargetState.REFUSED)
            with pytest.raises(TargetRefused, match="nothing was sent"):
                await our.upms["jira"].identity()
            our.save(version="2.0")
            await our.until(TargetState.REFUSED, revision="r2")
            assert await registrar.retire() == ()
            assert host.requests == []

            registrar.agree()
            await our.until(TargetState.UNAVAILABLE)

    assert host.requests[0].headers["authorization"]


async def test_an_app_that_vanished_is_registered_again(host: SimulatedHost) -> None:
    """Somebody removed it, or the host began anew: said, and mended."""
    async with house(host, limits=LOOKING) as our:
        our.save()
        await our.until(CONFIRMED)
        host.restart(memory=False)

        event = await our.until(TargetState.DRIFTED)
        await our.until(CONFIRMED, count=2)

    assert event.code == "DRIFT-GONE"
    assert our.states().count("registering") == 2


async def test_somebody_elses_version_is_not_overwritten(host: SimulatedHost) -> None:
    """Another version in our place is told once, and the next save does not overwrite it."""
    async with house(host, limits=LOOKING) as our:
        our.save()
        await our.until(CONFIRMED)
        await install_somehow(host, version="9.0")
        event = await our.until(TargetState.DRIFTED)
        our.save(version="2.0")
        refused = await our.until(TargetState.REFUSED, revision="r2")
        assert host.state.plugins[KEY].app.version == "9.0"
        our.registrars[0].again(Permission.TAKE_OVER)
        await our.until(CONFIRMED, revision="r2")

    assert event.code == "DRIFT-REPLACED"
    assert "9.0" in (event.reason or "")
    assert refused.code == "NOT-OURS"
    assert our.states().count("drifted") == 1


async def test_a_target_that_was_away_is_told_to_be_back(host: SimulatedHost) -> None:
    """Not answering is said once; when it answers and has our app, it is as it was."""
    async with house(host, limits=LOOKING) as our:
        our.save()
        await our.until(CONFIRMED)
        host.restart(memory=True, down_ms=400)

        await our.until(TargetState.UNAVAILABLE)
        await our.until(CONFIRMED, count=2)

    assert our.states()[-2:] == ["unavailable", "confirmed"]
    assert our.states().count("registering") == 1


async def test_an_app_that_was_switched_off_is_said(host: SimulatedHost) -> None:
    """Once, not at every look."""
    async with house(host, limits=LOOKING) as our:
        our.save()
        await our.until(CONFIRMED)
        await our.upms["jira"].enable(KEY, enabled=False)
        await our.wait(lambda: any(isinstance(each, Notice) for each in our.events))
        await our.upms["jira"].enable(KEY)

    notices = [event for event in our.events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert "disabled" in notices[0].message


async def test_a_save_does_not_wait_for_a_look(host: SimulatedHost) -> None:
    """A look for drift that hangs is given up for an edit."""
    async with house(host, limits=LOOKING) as our:
        our.save()
        await our.until(CONFIRMED)
        host.script(Fault(kind="hang", stage="other", match="GET .*-key", times=1))
        await host.wait(lambda: any(struck for _, _, struck in host.faults.listed()), within=3)
        our.save(version="2.0")

        event = await our.until(CONFIRMED, revision="r2", within=1.5)

    assert event.by is Proof.CALLBACK


def test_remote_is_a_descriptor_of_its_own() -> None:
    """The house's descriptors differ where they should and are equal where they should."""
    one, two = remote("http://h"), remote("http://h", comment="x")

    assert one.canonical == two.canonical
    assert one.digest != two.digest

"""The registrar against the simulated host: states, proof, latest wins, back-off, taking away."""

import asyncio
import itertools
import json

import pytest
from registrar.house import QUICK, house, remote, running
from upm.scripted import accepted, answer, scripted

from devserver.events import Notice
from devserver.model import Proof, TargetState
from devserver.registrar import Limits, Permission
from devserver.simulator import Fault, SimulatedHost, simulated_host
from devserver.upm.pace import backoff
from devserver.upm.warm import MOMENT

CONFIRMED = TargetState.CONFIRMED


async def test_a_revision_is_confirmed_by_its_callback(host: SimulatedHost) -> None:
    """Every state is told in its order, and the proof is the host's own signed callback."""
    async with house(host) as our:
        revision = our.save()

        event = await our.until(CONFIRMED)

    assert our.states() == ["registering", "accepted", "fetched", "installed", "confirmed"]
    assert event.by is Proof.CALLBACK
    assert event.revision == "r1"
    assert event.digest == revision.digest
    assert event.attempt == 1
    assert event.ms is not None
    assert event.ms < 2000


async def test_a_comment_alone_is_not_registered_again(host: SimulatedHost) -> None:
    """What the target was proved to run is confirmed as unchanged, with no request."""
    async with house(host) as our:
        our.save()
        await our.until(CONFIRMED)
        our.save(comment="a thought")

        event = await our.until(CONFIRMED, revision="r2")

    assert event.by is Proof.UNCHANGED
    assert our.states().count("registering") == 1


async def test_an_edit_and_its_undo_are_both_registered(host: SimulatedHost) -> None:
    """Going back to an earlier form is a change when the target runs another one."""
    async with house(host) as our:
        for number, version in enumerate(("1.0", "2.0", "1.0"), 1):
            our.save(version=version)
            event = await our.until(CONFIRMED, revision=f"r{number}")
            assert event.by is Proof.CALLBACK

        assert host.state.plugins["com.example.hello"].app.version == "1.0"


async def test_latest_wins_and_installs_never_overlap(host: SimulatedHost) -> None:
    """Of a thousand quick saves only the first and the last few are registered."""
    async with house(host) as our:
        for number in range(1, 1001):
            our.save(version=f"1.{number}")
            await asyncio.sleep(0)

        await our.until(CONFIRMED, revision="r1000")

    assert host.state.plugins["com.example.hello"].app.version == "1.1000"
    assert our.states().count("registering") <= 40
    assert "unavailable" not in our.states()
    under_way = 0
    for state in our.states():
        under_way += {"accepted": 1, "installed": -1}.get(state, 0)
        assert under_way in (0, 1)


async def test_a_target_that_is_down_is_registered_when_it_is_back(host: SimulatedHost) -> None:
    """503 while a host starts is retried with back-off, and each wait is told."""
    host.script(Fault(kind="status", stage="token", status=503, times=4))
    async with house(host) as our:
        our.save()

        await our.until(CONFIRMED)

    waits = [e for e in our.told() if e.state is TargetState.UNAVAILABLE]
    assert waits
    assert all(e.code == "UPM503-STARTING" and e.retry_in and e.remedy for e in waits)


async def test_a_newer_revision_cuts_a_back_off_short(host: SimulatedHost) -> None:
    """A save during a long wait is tried at once."""
    limits = Limits(first_retry=30.0, last_retry=30.0, confirm=2.0)
    host.script(Fault(kind="status", stage="token", status=503, times=2))
    async with house(host, limits=limits) as our:
        our.save()
        await our.until(TargetState.UNAVAILABLE)
        our.save(version="2.0")

        await our.until(CONFIRMED, revision="r2", within=2.0)


async def test_retry_after_is_not_cut_short(host: SimulatedHost) -> None:
    """What the target itself asks for is kept to, whatever is saved meanwhile."""
    host.script(
        Fault(kind="status", stage="install", status=429, times=1, headers={"Retry-After": "1"})
    )
    async with house(host) as our:
        our.save()
        refused = await our.until(TargetState.UNAVAILABLE)
        our.save(version="2.0")
        event = await our.until(CONFIRMED, revision="r2")

    assert refused.code == "UPM429-TOO-MANY"
    assert refused.retry_in == 1.0
    assert (event.time - refused.time).total_seconds() >= 0.95


async def test_wrong_credentials_are_tried_once() -> None:
    """A rejected password stops the target; no later save sends it again."""
    no = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    async with scripted([], last=no) as host, house(host.url) as our:
        our.save()
        event = await our.until(TargetState.REJECTED)
        our.save(version="2.0")
        await our.until(TargetState.REJECTED, revision="r2")

    assert event.code == "UPM401-CREDENTIALS"
    assert len(host.requests) == 1


async def test_a_lost_answer_is_not_posted_twice(host: SimulatedHost) -> None:
    """A POST whose answer never came is looked for at the target before it is repeated."""
    host.script(Fault(kind="truncate", stage="install", times=1))
    async with house(host) as our:
        our.save()
        await our.until(CONFIRMED)

    assert len(await host.called_back("remote_plugin_installed")) == 1


async def test_a_lost_callback_leaves_it_unconfirmed(host: SimulatedHost) -> None:
    """Installed and no callback is said as that, with the address that the host has to reach."""
    host.script(Fault(kind="lost", stage="callback", times=1))
    async with house(host, limits=Limits(confirm=0.3)) as our:
        our.save()

        event = await our.until(TargetState.UNCONFIRMED)

    assert event.code == "NO-CALLBACK"
    assert f"{our.url}/installed" in (event.reason or "")


async def test_a_late_callback_still_confirms(host: SimulatedHost) -> None:
    """Facts count whenever they come."""
    host.script(Fault(kind="late", stage="callback", ms=500, times=1))
    async with house(host, limits=Limits(confirm=0.1)) as our:
        our.save()
        await our.until(TargetState.UNCONFIRMED)

        event = await our.until(CONFIRMED)
        our.save(comment="nothing new")
        again = await our.until(CONFIRMED, revision="r2")

    assert event.by is Proof.CALLBACK
    assert again.by is Proof.UNCHANGED


async def test_a_refusal_waits_for_the_next_change(host: SimulatedHost) -> None:
    """What the target does not take is not sent again, and the next save is."""
    host.script(
        Fault(
            kind="error",
            stage="install",
            code="upm.pluginInstall.error.unknown.plugin.type",
            times=1,
        )
    )
    async with house(host) as our:
        our.save()
        event = await our.until(TargetState.REFUSED)
        our.save(version="2.0")
        await our.until(CONFIRMED, revision="r2")

    assert event.code == "TASK-UNKNOWN-TYPE"
    assert our.states().count("registering") == 2


async def test_nobody_came(host: SimulatedHost) -> None:
    """A target that cannot reach us is told apart from one that refuses: nobody fetched."""
    host.script(Fault(kind="status", stage="fetch", status=502, times=1))
    async with house(host) as our:
        our.save()

        event = await our.until(TargetState.UNAVAILABLE)
        await our.until(CONFIRMED)

    assert event.code == "TASK-NOBODY-CAME"
    assert "nobody fetched" in (event.reason or "")
    assert "host.docker.internal" in (event.remedy or "")


async def test_a_restart_in_the_middle_is_registered_again(host: SimulatedHost) -> None:
    """A host that restarts during an install forgets it; it is asked again."""
    host.script(Fault(kind="restart", stage="poll", times=1, memory=False, down_ms=200))
    async with house(host, prepared=True) as our:
        our.save()

        await our.until(CONFIRMED)

        assert "com.example.hello" in host.state.plugins


async def test_a_changed_key_takes_the_old_one_away(host: SimulatedHost) -> None:
    """Once the new key is in, the one before is uninstalled."""
    async with house(host, permissions=(Permission.KEY_CHANGE,)) as our:
        our.save(key="com.example.old")
        await our.until(CONFIRMED)
        our.save(key="com.example.new")
        await our.until(CONFIRMED, revision="r2")
        await host.wait(lambda: "com.example.old" not in host.state.plugins)

        assert "com.example.new" in host.state.plugins


async def test_without_callback_the_listing_counts(host: SimulatedHost) -> None:
    """A descriptor whose base URL is not ours is confirmed by UPM, with a warning."""
    async with house(host) as our:
        our.offer(remote("http://localhost:1"))

        event = await our.until(CONFIRMED)
        await our.wait(lambda: any(isinstance(each, Notice) for each in our.events))

    assert event.by is Proof.UPM


async def test_retiring_takes_the_app_away(host: SimulatedHost) -> None:
    """At the end nothing of ours is left."""
    async with house(host, run=False) as our:
        task = asyncio.create_task(our.registrars[0].run())
        our.save()
        await our.until(CONFIRMED)
        task.cancel()
        await asyncio.wait((task,))

        left = await our.registrars[0].retire()

    assert left == ()
    assert our.states()[-2:] == ["confirmed", "unregistered"]
    assert "com.example.hello" not in host.state.plugins


@pytest.mark.parametrize("state", ["registering", "accepted"])
async def test_retiring_awaits_an_install_under_way(state: str) -> None:
    """An app whose install is interrupted by the end is taken away all the same."""
    async with simulated_host(port=0, install_time=1.0) as host:
        async with house(host, run=False) as our:
            task = asyncio.create_task(our.registrars[0].run())
            our.save()
            await our.until(TargetState(state))
            task.cancel()
            await asyncio.wait((task,))

            left = await our.registrars[0].retire(0.5)

        assert left == ()
        assert "com.example.hello" not in host.state.plugins


async def test_a_hanging_target_does_not_hold_the_end_up(host: SimulatedHost) -> None:
    """Retiring ends within its limit and says what is left."""
    async with house(host, run=False) as our:
        task = asyncio.create_task(our.registrars[0].run())
        our.save()
        await our.until(CONFIRMED)
        host.script(Fault(kind="hang", stage="any"))
        task.cancel()
        await asyncio.wait((task,))

        async with asyncio.timeout(1.0):
            left = await our.registrars[0].retire(0.3)

    assert left == ("com.example.hello",)


async def test_asking_again_registers_the_same_revision(host: SimulatedHost) -> None:
    """A key press registers what is already there once more."""
    async with house(host) as our:
        our.save()
        await our.until(CONFIRMED)
        our.registrars[0].again()

        await our.until(CONFIRMED, count=2)

    assert our.states().count("registering") == 2


async def test_targets_do_not_wait_for_one_another(host: SimulatedHost) -> None:
    """A target that hangs delays nobody else."""
    async with (
        simulated_host(port=0, faults=[Fault(kind="hang", stage="any")]) as hanging,
        house(host, hanging, names=("jira", "slow")) as our,
    ):
        our.save()

        event = await our.until(CONFIRMED, within=2.0)

    assert event.ms is not None


def test_back_off_doubles_to_a_limit() -> None:
    """0.1 s, doubling, up to a quarter longer, never above the limit."""
    plain = list(itertools.islice(backoff(jitter=lambda: 0.0), 11))
    jittered = list(itertools.islice(backoff(jitter=lambda: 1.0), 11))

    assert plain == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30])
    assert jittered[:3] == pytest.approx([0.125, 0.25, 0.5])
    assert max(jittered) == 30


def test_quick_limits_are_quick() -> None:
    """The limits of these tests are shorter than a user's."""
    assert QUICK.confirm < Limits().confirm


def answers_of(*more: bytes) -> list[bytes]:
    """A host that gives a token, has no such app, accepts, and then says *more*."""
    return [answer(200, upm_token="1"), answer(404), accepted(), *more]


def listed(**more: object) -> bytes:
    """What a task's plugin is, where a proxy has followed the redirect."""
    said = {"key": "com.example.hello", "version": "1.0", "enabled": True, **more}
    return answer(200, json.dumps(said))


@pytest.mark.parametrize(
    ("plugin", "code"),
    [
        ({"version": "3.0"}, "TASK-OLDER-VERSION"),
        ({"key": "com.example.other"}, "TASK-OTHER-KEY"),
    ],
)
async def test_done_is_not_enough(plugin: dict[str, str], code: str) -> None:
    """A task that ends well with another app, or an older version that was skipped, is refused."""
    async with scripted(answers_of(listed(**plugin))) as host, house(host.url) as our:
        our.save()
        event = await our.until(TargetState.REFUSED)

    assert event.code == code
    assert "…" not in (event.reason or "")


async def test_a_restart_that_is_due_is_told() -> None:
    """Some module types run only after a restart of the host."""
    reply = listed(restartState="upgrade")
    async with scripted(answers_of(reply)) as host, house(host.url) as our:
        our.save()
        event = await our.until(TargetState.RESTART_NEEDED)

    assert "after a restart" in (event.reason or "")


async def test_a_task_without_end(host: SimulatedHost) -> None:
    """Given up after its limit, and tried again."""
    host.script(Fault(kind="endless", stage="install", times=1))
    limits = Limits(task=0.3, confirm=2.0, first_retry=0.02, last_retry=0.1)
    async with house(host, limits=limits) as our:
        our.save()
        event = await our.until(TargetState.UNAVAILABLE)

    assert event.code == "TASK-ENDLESS"
    assert "0.3 s" in (event.reason or "")


async def test_an_answer_that_is_lost_after_the_fact(host: SimulatedHost) -> None:
    """Installed, and only the answer was lost: found out, not installed twice."""
    host.install_time = 0.0
    host.script(Fault(kind="reset", stage="install", after=True, times=1))
    limits = Limits(first_retry=0.5, last_retry=0.5, confirm=2.0)
    async with house(host, limits=limits) as our:
        our.save()
        event = await our.until(CONFIRMED)

    assert event.attempt == 1
    assert our.states().count("registering") == 1
    assert len(await host.called_back("remote_plugin_installed")) == 1


async def test_an_edit_after_a_lost_answer_waits_for_its_end(host: SimulatedHost) -> None:
    """The install that may be under way is awaited before the next one begins."""
    host.install_time = 0.3
    host.script(Fault(kind="reset", stage="install", after=True, times=1))
    async with house(host) as our:
        our.save()
        await our.until(TargetState.UNAVAILABLE)
        our.save(version="2.0")
        await our.until(CONFIRMED, revision="r2")

    assert host.state.plugins["com.example.hello"].app.version == "2.0"
    assert all(task.done for task in host.state.tasks)


async def test_credentials_that_expire_are_told_between_edits(host: SimulatedHost) -> None:
    """A look for drift that is rejected stops the target as well."""
    limits = Limits(confirm=2.0, check=0.1)
    async with house(host, limits=limits) as our:
        our.save()
        await our.until(CONFIRMED)
        host.script(
            Fault(
                kind="status",
                stage="other",
                status=401,
                headers={"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"},
            )
        )
        event = await our.until(TargetState.REJECTED)

    assert event.code == "UPM401-CREDENTIALS"


async def test_the_end_sends_no_rejected_secret() -> None:
    """Leaving, or being sent away, is no reason to try a password that was rejected."""
    no = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    async with scripted([no], last=no) as host, house(host.url, run=False) as our:
        (registrar,) = our.registrars
        async with running(our):
            our.save()
            await our.until(TargetState.REJECTED)
            registrar.leave()
            await our.until(TargetState.REJECTED, count=2)
        await registrar.retire()

    assert len(host.requests) == 1


async def test_agreeing_goes_on_with_what_was_withheld(host: SimulatedHost) -> None:
    """One key press gives the permission that was asked for, and no other."""
    async with house(host) as our:
        our.save()
        await our.until(CONFIRMED)
        our.registrars[0].agree()  # nothing was asked: nothing is given
        our.save(key="com.example.other")
        event = await our.until(TargetState.REFUSED)
        our.registrars[0].agree()
        await our.until(CONFIRMED, revision="r2")

    assert event.code == "KEY-CHANGED"
    assert "press y" in (event.remedy or "")


async def test_a_slow_rejection_is_waited_for() -> None:
    """However long a host thinks about a password, it is asked once."""
    requests = 0

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        await asyncio.sleep(MOMENT + 0.3)  # the host's own slowness is what is tested
        writer.write(answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED"))
        await writer.drain()
        writer.close()

    limits = Limits(confirm=2.0)
    async with await asyncio.start_server(think, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jira"
        async with house(url, limits=limits, request_limit=5.0) as our:
            our.save()
            await our.until(TargetState.REJECTED)

    assert requests == 1

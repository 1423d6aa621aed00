"""Faults: chosen by count, chance, pattern; the same seed, the same run."""

import asyncio
import re
import time
from random import Random

import aiohttp
import pytest
from simulator.conftest import LogIn, Start
from simulator.people import App, Client

from devserver.errors import UsageError
from devserver.simulator import Fault, SimulatedHost
from devserver.simulator.faults import KINDS, Script, from_header, from_mapping, parse_faults


def strikes(fault: Fault, calls: int, seed: int = 1) -> str:
    script = Script(Random(seed))
    script.add([fault])
    return "".join("x" if script.take("poll", "GET /") else "." for _ in range(calls))


def test_counts_and_patterns() -> None:
    """`skip` lets pass, `times` ends it, a pattern repeats."""
    assert strikes(Fault(kind="reset", skip=2, times=3), 8) == "..xxx..."
    assert strikes(Fault(kind="reset", pattern="..x"), 7) == "..x..x."
    assert strikes(Fault(kind="reset", stage="install"), 3) == "..."
    assert strikes(Fault(kind="reset", match="^POST"), 3) == "..."


def test_the_same_seed_gives_the_same_run() -> None:
    """Chance comes from the seed alone."""
    some = Fault(kind="reset", probability=0.5)

    assert strikes(some, 40, seed=7) == strikes(some, 40, seed=7) != strikes(some, 40, seed=8)


async def test_the_same_seed_gives_the_same_host(start: Start, log_in: LogIn, app: App) -> None:
    """Tokens, task ids and what goes wrong: all from the seed, whatever happens in between."""
    runs = []
    for _ in range(2):
        host = await start(seed=42, faults=[Fault(kind="status", stage="token", probability=0.5)])
        admin = await log_in(host)
        statuses = [(await admin("GET", "")).status for _ in range(12)]
        host.faults.clear()
        token = await admin.token()
        accepted = await admin.post(app.descriptor, token=token)
        task = accepted.headers["Location"].rpartition("/")[2]
        runs.append((statuses, token, task, host.identity.client_key))

    assert runs[0] == runs[1]
    assert set(runs[0][0]) == {200, 503}


def test_a_file_of_faults() -> None:
    """TOML with [[fault]] tables; names with a dash or an underscore."""
    first, second = parse_faults(
        '[[fault]]\nkind="status"\nstage="install"\nstatus=503\nheaders={Retry-After="2"}\n'
        '[[fault]]\nkind="restart"\ndown-ms=5\n'
    )

    assert (first.status, first.headers, second.down_ms) == (503, {"Retry-After": "2"}, 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind = 1", "[[fault]]"),
        ("[[fault]]\nstage='poll'", "with a kind"),
        ("[[fault]]\nkind='oops'", 'no fault "oops"'),
        ("[[fault]]\nkind='lost'\nstage='poll'", "cannot strike"),
        ("[[fault]]\nkind='reset'\nsometimes=1", 'no "sometimes"'),
        ("[[fault]]\nkind='reset'\ntimes='2'", "times cannot be"),
        ("[[fault]]\nkind='reset'\ntimes=true", "times cannot be"),
        ("[[fault]]\nkind='reset'\nprobability=2", "between 0 and 1"),
        ("[[fault]]\nkind='reset'\nmatch='('", "regular expression"),
        ("[[fault]]\nkind='status'\nstatus=99", "99"),
        ("[[fault]]\nkind='status'\nheaders={a=1}", "headers"),
        ("[[", "not TOML"),
    ],
)
def test_a_mistaken_file(text: str, says: str) -> None:
    """Each mistake is told, with what there could be."""
    with pytest.raises(UsageError) as caught:
        parse_faults(text)

    assert says in caught.value.reason
    assert caught.value.remedy


def test_faults_in_a_header() -> None:
    """What is no field of a fault is a header of the answer."""
    fault = from_header("status; status=429; Retry-After=3; after=true", "install")

    assert (fault.status, fault.headers, fault.after) == (429, {"Retry-After": "3"}, True)
    with pytest.raises(UsageError):
        from_header("status; status=many", "install")


async def test_status_by_a_header(admin: Client) -> None:
    """One request asks for its own fault; the next is served."""
    header = {"X-Upm-Simulator-Fault": "status; status=503; Retry-After=2"}

    faulty = await admin("GET", "", headers=header)
    fine = await admin("GET", "")
    wrong = await admin("GET", "", headers={"X-Upm-Simulator-Fault": "nonsense"})

    assert (faulty.status, faulty.headers["Retry-After"], fine.status) == (503, "2", 200)
    assert (wrong.status, "nonsense" in wrong.text) == (400, True)


async def test_reset_truncate_html(host: SimulatedHost, admin: Client) -> None:
    """A reset, a body cut short and a login page are what an HTTP client sees them as."""
    # aiohttp asks once more by itself where a GET was cut off.
    host.script(Fault(kind="reset", stage="token", times=2))
    with pytest.raises(aiohttp.ClientConnectionError):
        await admin("GET", "")
    host.script(Fault(kind="truncate", stage="token", times=1))
    with pytest.raises(aiohttp.ClientPayloadError):
        await admin("GET", "")
    host.script(Fault(kind="html", stage="token", times=1))
    page = await admin("GET", "")
    assert (page.status, page.type) == (200, "text/html;charset=UTF-8")
    assert (await admin("GET", "")).status == 200


async def test_an_answer_that_is_lost(host: SimulatedHost, admin: Client, app: App) -> None:
    """With `after` the host does what was asked, and only the answer does not arrive."""
    host.script(Fault(kind="reset", stage="install", after=True, times=1))

    with pytest.raises(aiohttp.ClientConnectionError):
        await admin.post(app.descriptor)

    assert (await host.installed("com.example.hello")).app.version == "1.0"


async def test_tokens_go_wrong(host: SimulatedHost, admin: Client, app: App) -> None:
    """A token is left out, or used by somebody else just before."""
    host.script(Fault(kind="no-token", times=1, stage="token"))
    assert "upm-token" not in (await admin("HEAD", "")).headers
    host.script(Fault(kind="steal-token", times=1, stage="install"))

    stolen = await admin.post(app.descriptor)

    assert (stolen.status, stolen.json["subCode"]) == (403, "upm.error.invalid.token")
    assert (await admin.install(app.descriptor)).status == 303


async def test_tasks_go_wrong(host: SimulatedHost, admin: Client, app: App) -> None:
    """A task is forgotten, never ends, or ends in any subCode."""
    host.script(
        Fault(kind="error", stage="install", code="upm.some.code", message="Why", times=1),
        Fault(kind="endless", stage="install", skip=1, times=1),
    )

    failed = await admin.install(app.descriptor)
    endless = await admin.post(app.descriptor)
    with pytest.raises(TimeoutError):
        await admin.finish(endless, within=0.1)
    host.script(Fault(kind="forget-task", stage="poll", times=1))
    forgotten = await admin("GET", endless.headers["Location"])

    assert failed.json["status"]["subCode"] == "upm.some.code"
    assert forgotten.status == 404


async def test_fetching_goes_wrong(host: SimulatedHost, admin: Client, app: App) -> None:
    """The descriptor cannot be had, is slow, or the fetch ends in a subCode."""
    for fault, code in [
        (Fault(kind="status", stage="fetch", status=401, times=1), "access.denied"),
        (Fault(kind="status", stage="fetch", status=500, times=1), "response.exception"),
        (Fault(kind="hang", stage="fetch", ms=20, times=1), "response.exception"),
    ]:
        host.script(fault)
        assert await admin.refused(app.descriptor) == f"upm.pluginInstall.error.{code}"
    host.script(Fault(kind="latency", stage="fetch", ms=20, times=1))
    host.script(Fault(kind="error", stage="fetch", code="upm.own", times=1))
    assert await admin.refused(app.descriptor) == "upm.own"


async def test_callbacks_go_wrong(host: SimulatedHost, admin: Client, app: App) -> None:
    """Callbacks are lost, doubled, late, and overtaken by the next."""
    host.script(
        Fault(kind="lost", stage="callback", match="installed", times=1),
        Fault(kind="double", stage="callback", match="enabled", times=1),
        Fault(kind="late", stage="callback", match="enabled", ms=10, times=1),
    )
    await admin.install(app.descriptor)
    await host.called_back("remote_plugin_enabled", count=2)
    assert app.paths() == ["/enabled", "/enabled"]
    app.received.clear()
    host.script(Fault(kind="out-of-order", stage="callback", match="installed", times=1))
    await admin.install(app.descriptor)
    await host.wait(lambda: len(app.received) == 2)
    assert app.paths() == ["/enabled", "/installed"]


async def test_a_call_held_back_goes_out_in_the_end(
    host: SimulatedHost, admin: Client, app: App
) -> None:
    """Out of order, but nothing follows: it is sent all the same."""
    host.script(Fault(kind="out-of-order", stage="callback", match="enabled", ms=10))

    await admin.install(app.descriptor)

    await host.wait(lambda: "/enabled" in app.paths())


async def test_a_restart(host: SimulatedHost, admin: Client, app: App) -> None:
    """Tokens and tasks are gone, apps are not; without memory they are as well."""
    accepted = await admin.post(app.descriptor)
    await admin.finish(accepted)
    token = await admin.token()
    host.script(Fault(kind="restart", stage="poll", times=1))

    assert (await admin("GET", accepted.headers["Location"])).status == 404

    assert await admin.token() != token
    assert (await admin("GET", "com.example.hello-key")).status == 200
    host.restart(memory=False, down_ms=60_000)
    assert (await admin("GET", "")).status == 503
    assert (await admin("GET", "/status")).json == {"state": "STARTING"}
    host.down_until = 0
    assert (await admin("GET", "/status")).json == {"state": "RUNNING"}
    assert (await admin("GET", "com.example.hello-key")).status == 404


async def test_a_skewed_clock(host: SimulatedHost, admin: Client, app: App) -> None:
    """Callbacks carry the host's own time."""
    host.script(Fault(kind="clock-skew", stage="token", ms=-3_600_000, times=1))

    await admin.install(app.descriptor)
    (call,) = await host.called_back("remote_plugin_installed")

    assert host.skew == -3600
    stamp = re.search(r'oauth_timestamp="(\d+)"', app.received[0].headers["Authorization"])
    assert stamp
    assert abs(int(stamp[1]) - call.time) < 30
    assert abs(time.time() - 3600 - call.time) < 30


async def test_a_hang_ends_with_the_client(host: SimulatedHost, admin: Client) -> None:
    """Nothing is answered, and nothing is left behind when the client gives up."""
    host.script(Fault(kind="hang", stage="token", times=1))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await admin("GET", "")

    assert (await admin("GET", "")).status == 200


async def test_every_kind_can_be_scripted() -> None:
    """Each kind at each of its stages is a fault that stands."""
    for kind, stages in KINDS.items():
        for stage in stages:
            assert from_mapping({"kind": kind, "stage": stage}).stage == stage


async def test_the_endpoint(start: Start, log_in: LogIn) -> None:
    """Faults are scripted over HTTP with our Origin and token, and not otherwise."""
    host = await start()
    admin = await log_in(host)
    control = f"{host.origin}/_simulator/faults"
    told = (await admin("GET", f"{host.origin}/_simulator/token")).json
    ours = {"Origin": told["origin"], told["header"]: told["token"]}
    body = {"kind": "status", "stage": "token", "status": 418, "times": 1}

    assert (await admin("POST", control, json=body)).status == 403
    evil = {**ours, "Origin": "http://evil.example"}
    assert (await admin("POST", control, json=body, headers=evil)).status == 403
    forged = {**ours, told["header"]: "guess"}
    assert (await admin("POST", control, json=body, headers=forged)).status == 403
    rebound = {**ours, "Host": "evil.example"}
    assert (await admin("POST", control, json=body, headers=rebound)).status == 421
    assert (await (await log_in(host, "user"))("GET", control)).status == 403

    added = await admin("POST", control, json=body, headers=ours)
    assert (added.status, added.json["faults"][0]["status"]) == (200, 418)
    toml = {**ours, "Content-Type": "application/toml"}
    assert (await admin("POST", control, data="[[fault]]\nkind='x'", headers=toml)).status == 400
    assert (await admin("POST", control, data="{", headers=ours)).status == 400
    assert (await admin("GET", "")).status == 418
    assert (await admin("DELETE", control, headers=ours)).status == 204
    assert (await admin("GET", control)).json == {"faults": []}

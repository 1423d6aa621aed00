"""Why a target does not run a revision, told apart by what we alone know: who came for it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from processes import Json, Process, upm_dev
from projects import Project

from devserver.interfaces import Reached, reached
from devserver.simulator import Fault, simulated_host
from devserver.upm import blame
from devserver.upm.causes import page

NOT_ACCEPTED = Fault(
    kind="status", stage="install", match="POST", status=403,
    body="Plugins cannot be installed via upload",
)  # fmt: skip
NOBODY_CAME = Fault(kind="status", stage="fetch", status=500)
"""What a host says that could not fetch: it never came."""
FETCHED_AND_REFUSED = Fault(
    kind="error", stage="install", code="upm.pluginInstall.error.install.failed"
)
FETCHED_AND_LOST = Fault(
    kind="error", stage="install", code="upm.pluginInstall.error.response.exception"
)
NO_CALLBACK = Fault(kind="lost", stage="callback")
CASES = [
    pytest.param(
        NOT_ACCEPTED, "refused", "UPM403-UPLOAD-DISABLED", 6, ["registering"],
        r"simulated takes no apps but those of the Marketplace: uploads are switched off by "
        r"default since mid-2024",
        id="not accepted",
    ),
    pytest.param(
        NOBODY_CAME, "unavailable", "TASK-NOBODY-CAME", 4, ["registering", "accepted"],
        r"the task ended in response\.exception and nobody fetched "
        r"http://localhost:\d+/atlassian-plugin\.xml",
        id="nobody came",
    ),
    pytest.param(
        FETCHED_AND_REFUSED, "refused", "TASK-INSTALL-FAILED", 6,
        ["registering", "accepted", "fetched"],
        r"the plugin framework of simulated did not take the app: "
        r"upm\.pluginInstall\.error\.install\.failed, after it fetched r1 \([0-9a-f]{8}\) from us",
        id="fetched and refused",
    ),
    pytest.param(
        FETCHED_AND_LOST, "unavailable", "TASK-FETCHED-FAILED", 4,
        ["registering", "accepted", "fetched"],
        r"the target fetched http://localhost:\d+/atlassian-plugin\.xml and then said that it "
        r"could not",
        id="fetched, and said not to be",
    ),
    pytest.param(
        NO_CALLBACK, "unconfirmed", "NO-CALLBACK", 7,
        ["registering", "accepted", "fetched", "installed"],
        r"installed, but no remote_plugin_installed callback came to "
        r"http://localhost:\d+/installed within 1 s",
        id="no callback",
    ),
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "hello")


@asynccontextmanager
async def ran(command: str, project: Project, fault: Fault) -> AsyncIterator[Process]:
    """The command against a host that goes wrong in that way."""
    async with simulated_host(port=0, faults=(fault,)) as host:
        project.settings.write_text(
            project.settings.read_text() + f'\n[targets.simulated]\nurl = "{host.url}"\n'
        )
        arguments = (str(project.root), "--json", "--port", "0", "--timeout", "3")
        async with upm_dev(command, *arguments) as process:
            yield process


def states(process: Process) -> list[str]:
    """The states up to the first that ended the first attempt."""
    told = [each["state"] for each in process.of("target") if each["attempt"] == 1]
    end = {"refused", "unavailable", "unconfirmed"}
    return told[: next((i for i, state in enumerate(told) if state in end), len(told))]


def assert_told(event: Json, code: str, reason: str) -> None:
    assert event["code"] == code
    assert re.fullmatch(reason, event["reason"]), event["reason"]
    assert event["remedy"]
    assert page(code) is not None


@pytest.mark.parametrize(("fault", "state", "code", "exit_code", "before", "reason"), CASES)
async def test_serve_says_how_far_it_came(
    project: Project,
    fault: Fault,
    state: str,
    code: str,
    exit_code: int,
    before: list[str],
    reason: str,
) -> None:
    """The steps that were seen, then the one message that fits; serve goes on."""
    async with ran("serve", project, fault) as serve:
        event = await serve.seen("target", state=state)
        assert_told(event, code, reason)
        assert states(serve) == before
        assert (event.get("retry_in") is not None) == (state == "unavailable")
        assert await serve.stop() == 130


@pytest.mark.parametrize(("fault", "state", "code", "exit_code", "before", "reason"), CASES)
async def test_register_ends_with_it(
    project: Project,
    fault: Fault,
    state: str,
    code: str,
    exit_code: int,
    before: list[str],
    reason: str,
) -> None:
    """The same message, and its exit code."""
    async with ran("register", project, fault) as register:
        assert await register.ended() == exit_code

    event = register.of("target", state=state)[0]
    assert_told(event, code, reason)
    assert states(register) == before
    left = ["simulated: com.acme.hello"] if "installed" in before else []
    assert register.of("stopped")[0]["left"] == left


async def test_the_address_to_use_is_found(project: Project) -> None:
    """This machine's own, where it has any; the port is the one that is served."""
    found = reached("http://localhost:2990/jira")
    async with ran("serve", project, NOBODY_CAME) as serve:
        started = await serve.seen("started")
        event = await serve.seen("target", state="unavailable")
        port = re.search(r":(\d+)/", started["urls"]["descriptor"])

    assert port is not None
    for address in (found.bridge or blame.DOCKER_BRIDGE, found.outward):
        if address is not None:
            use = f"--host {address} --public-url http://{address}:{port.group(1)}"
            assert use in event["remedy"]
    assert f"--public-url http://host.docker.internal:{port.group(1)}" in event["remedy"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Reached(), ("--host 172.17.0.1", "host.docker.internal:8000", "on its network")),
        (
            Reached(bridge="172.18.0.1", outward="10.0.0.5"),
            (
                "--host 172.18.0.1 --public-url http://172.18.0.1:8000 (Linux)",
                "in a virtual machine, --host 10.0.0.5 --public-url http://10.0.0.5:8000",
            ),
        ),
        (
            Reached(bridge="172.18.0.1", outward="10.0.0.5", far=True),
            ("another machine, so use --host 10.0.0.5 --public-url http://10.0.0.5:8000",),
        ),
        (Reached(far=True), ("another machine", "--public-url with this machine's address")),
    ],
)
def test_what_to_do_about_localhost(found: Reached, words: tuple[str, ...]) -> None:
    """By what was found: containers, virtual machines, other machines."""
    hint = blame.address_hint("http://localhost:8000/atlassian-plugin.xml", found)

    for each in words:
        assert each in hint
    assert ("Docker" in hint) is not found.far


def test_what_to_do_about_any_other_address() -> None:
    """It is to be opened from there."""
    hint = blame.address_hint("https://abc.example.org/atlassian-plugin.xml", Reached())

    assert hint == ": open https://abc.example.org/ from there"


def test_our_own_addresses() -> None:
    """One that can be bound, or none; nothing is sent to find it."""
    found = reached("http://192.0.2.7:8080/jira")

    assert found.far
    for each in (found.bridge, found.outward):
        assert each is None or (not each.startswith("127.") and each.count(".") == 3)

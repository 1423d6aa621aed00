"""`register` beside a running `serve` of the same project: it is used, not fought."""

import json
import signal
from pathlib import Path

from commands.house import KEY, register, run, serving
from processes import upm_dev
from upm.scripted import answer, scripted

from devserver.simulator import SimulatedHost, simulated_host
from devserver.upm.journal import Journal


async def test_its_result_is_waited_for(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """What serve proved counts; nothing is sent to the target a second time."""
    file = project / "atlassian-plugin.xml.j2"
    async with serving(project, host.url, env) as serve:
        file.write_text(file.read_text().replace('key="page"', 'key="site"'))
        code, out, err = await run(
            "register", project, "--target", host.url, "--json", "--timeout", "9", env=env
        )
        await serve.seen("target", state="confirmed", revision="r2")
    events = [json.loads(line) for line in out.splitlines()]

    assert code == 0, out + err
    assert "keeps it registered" in err
    assert [each["type"] for each in events] == ["target", "stopped"]
    assert (events[0]["state"], events[0]["revision"]) == ("confirmed", "r2")
    assert sum(each.stage == "install" for each in host.journal) == 2


async def test_what_it_may_end_in(project: Path, env: dict[str, str]) -> None:
    """Refused is 6, rejected 5, errors in the descriptor 1, as without a serve beside."""
    no = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    file = project / "atlassian-plugin.xml.j2"
    async with simulated_host(port=0, profile="dc") as dc, scripted([], last=no) as strict:
        with (project / "upm-dev.toml").open("a") as settings:
            for name, url in (("dc", dc.url), ("strict", strict.url)):
                settings.write(f'[targets.{name}]\nurl = "{url}"\n')
        async with upm_dev("serve", project, "--json", "--port", "0", env=env) as serve:
            await serve.seen("target", state="refused")
            refused, said, _ = await run("register", project, "--target", "dc", env=env)
            rejected, _, _ = await run("register", project, "--target", "strict", env=env)
            worst, _, _ = await run("register", project, env=env)
            file.write_text("<atlassian-plugin")
            await serve.seen("withheld")
            invalid, _, err = await run("register", project, "--target", "dc", env=env)

    assert (refused, rejected, worst, invalid) == (6, 5, 5, 1)
    assert "TASK-UNKNOWN-TYPE" in said
    assert "atlassian-plugin.xml.j2:1" in err
    assert sum("authorization" in each.headers for each in strict.requests) == 1


async def test_another_target_is_registered_all_the_same(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """What serve has is left to it, the rest is done here; both count for the exit code."""
    async with (
        simulated_host(port=0) as other,
        serving(project, host.url, env),
    ):
        code, said = await register(project, host.url, env, "--target", other.url)

        assert code == 0, said
        assert KEY in other.state.plugins
        assert sum(each.stage == "install" for each in host.journal) == 1


async def test_a_serve_with_other_settings_is_said(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """It reads them when it starts: what it keeps there is not what the project is now."""
    async with serving(project, host.url, env):
        settings = project / "upm-dev.toml"
        settings.write_text(settings.read_text().replace("1.0", "1.1"))
        code, said = await register(project, host.url, env)

    assert code == 2
    assert "SERVE-DIFFERS" in said


async def test_a_killed_serve_is_not_waited_for(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """What it left is ours to go on with, and said to be."""
    async with serving(project, host.url, env) as serve:
        serve.process.send_signal(signal.SIGKILL)
        await serve.process.wait()
    code, said = await register(project, host.url, env)

    assert code == 0, said
    assert f"{KEY} was left on jira by a run that began 20" in said


async def test_a_serve_that_lets_a_target_go_is_said(
    host: SimulatedHost, project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Started again with other settings while it is waited for: what is awaited will not come."""
    had = json.dumps({"targets": {"jira": {"url": host.url, "last": None}}})
    async with scripted([answer(200, had)], last=answer(200, '{"targets": {}}')) as dashboard:
        journal = Journal(tmp_path / "state/upm-dev/journal.sqlite", project=str(project))
        journal.serves(f"http://127.0.0.1:{dashboard.port}", "http://localhost:8000")
        code, said = await register(project, host.url, env)
        journal.close()

    assert code == 2
    assert "SERVE-DIFFERS" in said

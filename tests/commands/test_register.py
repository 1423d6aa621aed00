"""`upm-dev register` and its neighbours as scripts use them: real processes, real exit codes."""

import asyncio
import json
import os
import signal
import sqlite3
from base64 import b64encode
from pathlib import Path

import pytest
from commands.house import KEY, register, run, serving
from processes import environment
from upm.scripted import HANG, RESET, accepted, answer, scripted

from devserver.simulator import Fault, SimulatedHost, simulated_host
from devserver.upm.journal import Journal


async def test_confirmed_is_zero(host: SimulatedHost, project: Path, env: dict[str, str]) -> None:
    """And the app stays; again is zero as well, and says that it is ours."""
    for _ in range(2):
        code, said = await register(project, host.url, env)
        assert code == 0, said
    assert KEY in host.state.plugins

    code, out, _ = await run("status", project, "--target", host.url, "--json", env=env)
    (target,) = json.loads(out)["targets"]
    assert code == 0
    assert target["ours"]
    assert target["newest"]
    assert json.loads(out)["orphans"] == []


async def test_json_is_events_alone(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """One object a line, the last of them `stopped` with the exit code."""
    code, out, _ = await run(
        "register", project, "--target", host.url, "--port", "0", "--json", env=env
    )
    events = [json.loads(line) for line in out.splitlines()]

    assert code == 0
    assert events[-1]["type"] == "stopped"
    assert events[-1]["exit_code"] == 0
    assert "confirmed" in [event.get("state") for event in events]


async def test_errors_in_the_descriptor_are_one(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """Nothing is registered, and the mistake is shown in its place."""
    (project / "atlassian-plugin.xml.j2").write_text("<atlassian-plugin")
    code, said = await register(project, host.url, env)

    assert code == 1
    assert "atlassian-plugin.xml.j2:1" in said
    assert not host.callbacks


async def test_no_target_is_two(project: Path, env: dict[str, str]) -> None:
    """It says how to name one."""
    code, _, err = await run("register", project, env=env)

    assert code == 2
    assert "--target" in err


async def test_a_taken_port_is_three(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """Here the host's own."""
    code, said = await register(project, host.url, env, "--port", str(host.port))

    assert code == 3
    assert "PORT-IN-USE" in said


@pytest.mark.parametrize("last", [RESET, HANG, answer(503), answer(404)])
async def test_an_unavailable_target_is_four(
    last: bytes, project: Path, env: dict[str, str]
) -> None:
    """After --timeout, with what it met."""
    async with scripted([], last=last) as dead:
        code, said = await register(project, dead.url, env, "--timeout", "1")

    assert code == 4, said


@pytest.mark.parametrize(
    "last",
    [
        answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED"),
        answer(403, X_Authentication_Denied_Reason="CAPTCHA_CHALLENGE; login-url=http://x"),
    ],
)
async def test_rejected_credentials_are_five(
    last: bytes, project: Path, env: dict[str, str]
) -> None:
    """At once, after one request."""
    async with scripted([], last=last) as no:
        code, said = await register(project, no.url, env)

    assert code == 5, said
    assert len(no.requests) == 1


async def test_a_refusal_is_six(project: Path, env: dict[str, str]) -> None:
    """A Data Center host does not take a remote descriptor."""
    async with simulated_host(port=0, profile="dc") as dc:
        code, said = await register(project, dc.url, env)

    assert code == 6
    assert "TASK-UNKNOWN-TYPE" in said


async def test_what_is_not_ours_is_six(
    host: SimulatedHost, project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Until it is taken over."""
    others = environment(XDG_STATE_HOME=str(tmp_path / "others"))
    assert (await register(project, host.url, others))[0] == 0

    code, said = await register(project, host.url, env)
    taken, _ = await register(project, host.url, env, "--take-over")

    assert code == 6
    assert "NOT-OURS" in said
    assert taken == 0


async def test_an_unconfirmed_app_is_seven(project: Path, env: dict[str, str]) -> None:
    """Installed, and the callback got lost."""
    lost = Fault(kind="lost", stage="callback")
    async with simulated_host(port=0, faults=[lost]) as mute:
        code, said = await register(project, mute.url, env)

    assert code == 7, said
    assert "NO-CALLBACK" in said


async def test_the_worst_of_several_counts(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """The first of 5, 6, 4, 7."""
    no = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    async with scripted([], last=no) as strict, scripted([], last=answer(503)) as busy:
        code, said = await register(
            project,
            host.url,
            env,
            *("--target", strict.url, "--target", busy.url),
            *("--timeout", "2"),
        )

    assert code == 5, said
    assert KEY in host.state.plugins


async def test_nobody_hits_production_by_a_typo(project: Path, env: dict[str, str]) -> None:
    """A target elsewhere is not written to without a word; no password is sent by plain http."""
    secret = {**env, "UPM_DEV_PASSWORD": "s3cret-of-the-test"}
    far, said = await register(project, "https://jira.example.com", secret)
    plain, told = await register(project, "http://jira.example.com", secret)

    assert far == 6
    assert "TARGET-NOT-DEV" in said
    assert plain == 5
    assert "PLAIN-HTTP" in told
    assert "s3cret" not in said + told


@pytest.mark.parametrize("more", [(), ("--yes",), ("--trust",)])
async def test_a_cloned_project_cannot_send_the_password_away(
    project: Path, env: dict[str, str], more: tuple[str, ...]
) -> None:
    """Its `dev = true` for a host elsewhere is worth nothing until the user trusts it: no byte."""
    (project / "upm-dev.toml").write_text(
        '[app]\nvariables = { version = "1.0" }\n'
        '[targets.evil]\nurl = "https://evil.example.com"\ndev = true\n'
    )
    # All that goes to a host elsewhere would come by the proxy.
    async with scripted([], last=answer(502)) as proxy:
        variables = {
            **env,
            "UPM_DEV_PASSWORD": "s3cret-of-the-test",
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        }
        code, out, err = await run(
            "register", project, "--port", "0", "--timeout", "1", *more, env=variables
        )

    assert (code, bool(proxy.requests)) == ((4, True) if more else (6, False)), out + err
    assert ("TARGET-NOT-DEV" in out) is not bool(more)


async def test_unregister_takes_ours_alone(
    host: SimulatedHost, project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """What the journal does not know stays."""
    assert (await register(project, host.url, env))[0] == 0
    others = environment(XDG_STATE_HOME=str(tmp_path / "others"))
    for variables, expected in ((others, True), (env, False)):
        code, _, err = await run("unregister", project, "--target", host.url, env=variables)
        assert code == 0, err
        assert (KEY in host.state.plugins) is expected


async def test_an_orphan_is_named_and_taken_away(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """After kill -9 the next `status` says what was left where, and since when."""
    async with serving(project, host.url, env) as serve:
        fighting, _, err = await run("unregister", project, "--target", host.url, env=env)
        beside, said = await register(project, host.url, env)
        serve.process.send_signal(signal.SIGKILL)
        await serve.process.wait()
    _, out, _ = await run("status", project, "--json", "--target", host.url, env=env)
    _, text, _ = await run("status", project, "--target", host.url, env=env)
    code, _, _ = await run("unregister", project, "--orphans", "--target", host.url, env=env)
    _, after, _ = await run("status", project, "--json", "--target", host.url, env=env)

    assert fighting == 2
    assert "SERVE-RUNS" in err
    assert beside == 0, said
    (orphan,) = json.loads(out)["orphans"]
    assert (orphan["key"], orphan["url"]) == (KEY, host.url)
    assert "orphan" in text
    assert code == 0
    assert KEY not in host.state.plugins
    assert json.loads(after)["orphans"] == []


async def test_a_plan_can_be_run(host: SimulatedHost, project: Path, env: dict[str, str]) -> None:
    """The requests are a shell's, with the password in the environment, and they install."""
    _, out, _ = await run("plan", project, "--target", host.url, "--json", env=env)
    (plan,) = json.loads(out)["targets"]
    _, text, _ = await run("plan", project, "--target", host.url, env=env)

    assert plan["difference"] == [f"+ {KEY} 1.0 is not installed"]
    assert "$UPM_DEV_PASSWORD" in text
    assert not host.state.plugins.get(KEY)
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        "\n".join(plan["requests"]),
        stdout=asyncio.subprocess.PIPE,
        env={**env, "UPM_DEV_PASSWORD": "admin"},
    )
    done, _ = await shell.communicate()
    assert b" 202 " in done.splitlines()[0]


@pytest.mark.parametrize("variable", ["UPM_DEV_PASSWORD", "UPM_DEV_TOKEN"])
async def test_a_plan_shows_no_secret_to_other_users(
    host: SimulatedHost, project: Path, env: dict[str, str], tmp_path: Path, variable: str
) -> None:
    """curl's arguments, which `ps` shows, are without it; its header has it, whatever is in it."""
    secret = "pl\"anted \\$1%s'x" if variable == "UPM_DEV_PASSWORD" else "planted-token"
    env = {**env, variable: secret}
    _, out, _ = await run("plan", project, "--target", host.url, "--json", env=env)
    (plan,) = json.loads(out)["targets"]
    seen, spy = tmp_path / "seen", tmp_path / "bin" / "curl"
    spy.parent.mkdir()
    spy.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {seen}.arguments\nexec cat >> {seen}.headers\n'
    )
    spy.chmod(0o755)
    shell = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        "\n".join(plan["requests"]),
        stdin=asyncio.subprocess.DEVNULL,
        env={**env, "PATH": f"{spy.parent}:{env.get('PATH', os.defpath)}"},
    )
    assert await shell.wait() == 0

    arguments = Path(f"{seen}.arguments").read_text()
    pair = b64encode(f"admin:{secret}".encode()).decode()
    proof = f"Basic {pair}" if variable == "UPM_DEV_PASSWORD" else f"Bearer {secret}"
    assert host.url in arguments
    assert secret not in arguments
    assert pair not in arguments
    assert Path(f"{seen}.headers").read_text() == f"Authorization: {proof}\n" * 2


async def test_a_plan_tells_the_difference(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """Version and module keys, as UPM lists them."""
    assert (await register(project, host.url, env))[0] == 0
    file = project / "atlassian-plugin.xml.j2"
    file.write_text(
        file.read_text().replace('key="page"', 'key="site"').replace("{{ version }}", "2.0")
    )
    _, out, _ = await run("plan", project, "--target", host.url, "--json", env=env)
    (plan,) = json.loads(out)["targets"]

    assert "~ version 1.0 becomes 2.0" in plan["difference"]
    assert "+ module site" in plan["difference"]


async def test_cloud_is_known_before_anything_is_asked(project: Path, env: dict[str, str]) -> None:
    """No password is looked for, no consent is asked, no name looked up: 6 at once, and why."""
    cloud = "https://acme.atlassian.net"
    code, out, err = await run(
        "register", project, "--target", cloud, "--port", "0", "--json", env=env
    )
    (told,) = [each for each in map(json.loads, out.splitlines()) if each["type"] == "target"]
    status, said, _ = await run("status", project, "--target", cloud, env=env)

    assert code == 6, err
    assert told["state"] == "refused"
    assert told["code"] == "CLOUD-PRIVATE-INSTALL"
    assert "31 March 2026 (CHANGE-3096)" in told["reason"]
    assert "Forge" in told["remedy"]
    assert status == 6
    assert "CHANGE-3096" in said


async def test_login_without_a_keyring_says_so(project: Path, env: dict[str, str]) -> None:
    """And what to do in place of it."""
    for command in ("login", "logout"):
        code, _, err = await run(
            command, "http://localhost:2990/jira", "--project", project, env=env, text="x\n"
        )
        assert code == 3
        assert "NO-KEYRING" in err
        assert "UPM_DEV_PASSWORD" in err


MORE = '<general-page key="more" name="More" url="/more"/></atlassian-plugin>'


async def test_status_knows_what_was_saved_since(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """The version alone proves nothing: it stays for days."""
    given = ("--target", host.url)
    code, _, err = await run("register", project, *given, env=env)
    assert code == 0, err
    _, before, _ = await run("status", project, *given, env=env)
    template = project / "atlassian-plugin.xml.j2"
    text = template.read_text(encoding="utf-8")
    template.write_text(text.replace("</atlassian-plugin>", MORE), encoding="utf-8")
    _, after, _ = await run("status", project, *given, env=env)

    assert "ours, the newest" in before
    assert "ours, not the newest: the project renders another one now" in after


async def test_status_of_a_project_without_targets(project: Path, env: dict[str, str]) -> None:
    """Nothing to show is said, and is fine."""
    code, out, _ = await run("status", project, env=env)

    assert code == 0
    assert "no target is configured" in out


async def test_a_task_that_nobody_follows_is_settled(project: Path, env: dict[str, str]) -> None:
    """A host that accepts and then answers nothing: 4, and the journal remembers."""
    answers = [answer(200, upm_token="1"), answer(404), accepted()]
    async with scripted(answers, last=HANG) as slow:
        code, said = await register(project, slow.url, env, "--timeout", "1")
        _, out, _ = await run(
            "status", project, "--json", "--target", slow.url, "--timeout", "1", env=env
        )

    assert code == 4, said
    assert json.loads(out)["targets"][0]["ours"]


async def test_diff_tells_what_a_target_has(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """Not installed, the same, another version: as UPM tells it, in words and as JSON."""
    with (project / "upm-dev.toml").open("a") as settings:
        settings.write(f'[targets.dev]\nurl = "{host.url}"\nuser = "admin"\n')

    code, out, err = await run("diff", "target:dev", project, env=env)
    assert (code, err) == (0, "")
    assert "not installed" in out

    assert (await register(project, "dev", env))[0] == 0
    same = await run("diff", "target:dev", project, "--json", env=env)
    toml = project / "upm-dev.toml"
    toml.write_text(toml.read_text().replace("1.0", "1.1"))
    code, out, err = await run("diff", "target:dev", project, env=env)
    assert (code, err) == (0, "")
    assert "1.0" in out
    assert "1.1" in out
    assert out.strip() not in json.loads(same[1])["difference"]

    code, _, err = await run("diff", "target:nobody", project, env=env)
    assert code == 2
    assert "nobody" in err


async def test_what_came_with_the_product_is_no_orphan(
    project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Whatever the journal says of it: it is asked whose it is before anything is removed."""
    shipped = answer(200, json.dumps({"key": KEY, "version": "1", "userInstalled": False}))
    async with scripted([], last=shipped) as host:
        journal = Journal(tmp_path / "state" / "upm-dev" / "journal.sqlite", project="/elsewhere")
        journal.note("jira", host.url, KEY, "0" * 64)
        # Its process is over: nobody has this number.
        with sqlite3.connect(journal.path) as database:
            database.execute("UPDATE installed SET pid = 4194305")
        code, out, err = await run(
            "unregister", project, "--orphans", "--target", host.url, env=env
        )
        left = journal.entries()
        journal.close()

    assert code == 0, err
    assert "came with the product" in out
    assert [each.line.partition(" ")[0] for each in host.requests] == ["GET"]
    assert left == ()

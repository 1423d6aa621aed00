"""`upm-dev doctor` as a process: the project's own checks, its exit code, its document."""

import json
import subprocess
from pathlib import Path

from commands.house import KEY, run
from datacenter.plugins import PluginProject
from processes import upm_dev
from upm.scripted import answer, scripted

from devserver.simulator import SimulatedHost, simulated_host


async def looked(
    project: Path, env: dict[str, str], *arguments: str
) -> tuple[int, list[dict[str, str]]]:
    """The exit code, and the checks of the document."""
    code, out, err = await run("doctor", project, "--port", "0", "--json", *arguments, env=env)
    document = json.loads(out)
    assert document["v"] == 1, err
    return code, document["checks"]


async def test_doctor_finds_a_healthy_host_healthy(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """Every check is told, the way back is tried, nothing is installed."""
    code, out, err = await run(
        "doctor", project, "--target", host.url, "--port", "0", "--json", env=env
    )
    checks = {each["check"]: each for each in json.loads(out)["checks"]}

    assert code == 0, out + err
    assert checks["way back"]["level"] == "ok"
    assert list(checks)[-15:] == [
        "name", "proxy", "TCP", "HTTP", "product", "clock", "credentials", "web sudo", "UPM",
        "product version", "safe mode", "admin right", "upload", "way back", "kinds",
    ]  # fmt: skip
    assert "XML plugins" in checks["kinds"]["message"]
    assert not host.state.plugins.get(KEY)


async def test_a_target_may_be_called_like_the_project(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """The checks of neither hide those of the other; a descriptor that is not there is one."""
    settings = f'[app]\ndescriptor = "missing.xml"\n[targets.project]\nurl = "{host.url}"\n'
    (project / "upm-dev.toml").write_text(settings, encoding="utf-8")
    code, checks = await looked(project, {**env, "UPM_DEV_PROJECT_PASSWORD": "admin"})

    assert code == 1
    levels = {each["check"]: each["level"] for each in checks if each["of"] == "project"}
    assert levels["descriptor"] == "failure"
    assert levels["TCP"] == "ok"


async def test_doctor_names_what_is_wrong(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """A wrong context path, with the right one; a file with a secret that others can read."""
    (project / ".env").write_text("UPM_DEV_PASSWORD=admin\n")
    (project / ".env").chmod(0o644)
    wrong = host.url.replace("/jira", "/jura")
    code, out, _ = await run("doctor", project, "--target", wrong, "--port", "0", env=env)
    _, right, _ = await run("doctor", project, "--target", host.url, "--port", "0", env=env)

    assert code == 1
    assert f"a UPM answers at {host.url}" in out
    assert ".env can be read by other users" in out
    assert "safe mode: off" in right


async def test_doctor_says_who_does_not_let_us_in(project: Path, env: dict[str, str]) -> None:
    """Credentials, and a target that is not there at all."""
    no = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    async with scripted([answer(200, "{}")], last=no) as strict:
        code, out, _ = await run("doctor", project, "--target", strict.url, "--port", "0", env=env)
    dead, said, _ = await run(
        "doctor", project, "--target", "http://localhost:1/jira", "--port", "0", env=env
    )

    assert code == 1
    assert "UPM401-CREDENTIALS" in out
    assert dead == 1
    assert "NET-CONNECTION-REFUSED" in said


async def test_secrets_that_git_would_take(project: Path, env: dict[str, str]) -> None:
    """Ignored is fine, forgotten a warning, tracked a failure that decides the exit code."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(project), *arguments], check=True, capture_output=True)

    async def said() -> tuple[int, str, str]:
        code, checks = await looked(project, env)
        (secrets,) = [each for each in checks if each["check"] == "secrets"]
        return code, secrets["level"], secrets["message"]

    (project / ".env").write_text("UPM_DEV_PASSWORD=x\n")
    (project / ".env").chmod(0o600)
    assert await said() == (0, "ok", ".env is yours alone, and not in git")
    git("init", "-q")
    assert (await said())[:2] == (0, "warning")
    (project / ".gitignore").write_text(".env\n")
    assert (await said())[:2] == (0, "ok")
    git("add", "-f", ".env")
    code, level, message = await said()

    assert (code, level) == (1, "failure")
    assert message == "git tracks .env, with what is secret in it"


async def test_no_descriptor(tmp_path: Path, env: dict[str, str]) -> None:
    """The project's own checks fail as well as a target's."""
    (tmp_path / "empty").mkdir()
    code, checks = await looked(tmp_path / "empty", env)

    assert code == 1
    assert checks[0]["check"] == "descriptor"
    assert checks[0]["code"] == "S001"
    assert checks[-1]["message"] == "none is configured: serve starts a simulated host"


async def test_two_targets(host: SimulatedHost, project: Path, env: dict[str, str]) -> None:
    """Each has its own checks; the worst of all decides."""
    code, checks = await looked(
        project, env, "--target", host.url, "--target", "http://localhost:1/wiki"
    )
    last = {each["of"]: each for each in checks}

    assert code == 1
    assert last["jira"]["level"] == "ok"
    assert last["wiki"]["code"] == "NET-CONNECTION-REFUSED"


async def test_a_plugin_project(tmp_path: Path, env: dict[str, str]) -> None:
    """Whether there is a JAR, and what its product says about JARs."""
    plugin = PluginProject(tmp_path / "hello")
    async with simulated_host(port=0, profile="dc") as host:
        unbuilt, before = await looked(plugin.root, env, "--target", host.url)
        plugin.build()
        built, after = await looked(plugin.root, env, "--target", host.url)
        listed = {key for key, each in host.state.plugins.items() if each.user_installed}
    of = {each["check"]: each for each in after}

    assert unbuilt == 1
    assert next(each for each in before if each["check"] == "JAR")["code"] == "B001"
    assert built == 0
    assert of["JAR"]["level"] == "ok"
    assert {"QuickReload", "upload", "signatures", "kinds"} <= set(of)
    assert not listed


async def test_what_strangers_say_moves_no_cursor(tmp_path: Path, env: dict[str, str]) -> None:
    """The name of an entry in a JAR may hold anything; `plan` says what to do about it, too."""
    plugin = PluginProject(tmp_path / "hello")
    plugin.build(more={"a\x1b]0;mine\x07/../../b": b""})
    async with simulated_host(port=0, profile="dc") as host:
        _, looked_at, _ = await run("doctor", plugin.root, "--target", host.url, env=env)
        code, _, planned = await run("plan", plugin.root, "--target", host.url, env=env)

    assert "outside its root: a<U+001B>]0;mine<U+0007>/../../b" in looked_at
    assert "\x1b]" not in looked_at
    assert code == 1
    assert "outside its root: a<U+001B>]0;mine<U+0007>/../../b" in planned
    assert planned.count("hello-1.0.jar") == 1
    assert "build it again" in planned


async def test_beside_a_running_serve(
    host: SimulatedHost, project: Path, env: dict[str, str]
) -> None:
    """Our own port is taken by ourselves, which is fine."""
    target = ("--target", host.url)
    async with upm_dev("serve", str(project), "--json", "--port", "0", *target, env=env) as serve:
        started = await serve.seen("started")
        await serve.seen("target", state="confirmed")
        port = started["urls"]["descriptor"].rpartition(":")[2].partition("/")[0]
        code, out, _ = await run("doctor", project, *target, "--port", port, "--json", env=env)
    of = {each["check"]: each for each in json.loads(out)["checks"]}

    assert code == 0
    assert of["port"]["level"] == "ok"
    assert "upm-dev serve of this project runs" in of["port"]["message"]

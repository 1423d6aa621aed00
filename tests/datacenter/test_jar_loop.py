"""`upm-dev serve` in a plugin project: into the JAR, with that into the product, and proved."""

import asyncio
import os
import socket
import sys
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from datacenter.plugins import KEY, PluginProject
from processes import Process, environment, upm_dev

from devserver.datacenter.build import WRITTEN_SECONDS
from devserver.simulator import Fault, SimulatedHost, simulated_host
from devserver.simulator.profile import load_profile
from devserver.upm import known

SCRIPT = Path(__file__).parents[2] / "bench/real-host.sh"


@asynccontextmanager
async def serving(
    project: PluginProject, *arguments: str | Path, profile: str = "dc", awaited: str = "confirmed"
) -> AsyncIterator[tuple[Process, SimulatedHost]]:
    async with simulated_host(port=0, profile=profile) as host:
        flags = ("--json", "--port", "0", "--target", host.url, *arguments)
        # A state folder of its own: what other tests left behind is told of as well.
        env = environment(XDG_STATE_HOME=str(project.root.parent / "state"))
        async with upm_dev("serve", project.root, *flags, env=env) as serve:
            await serve.seen("target", state=awaited, revision="r1")
            yield serve, host


async def test_an_edit_is_proved_without_a_build(project: PluginProject) -> None:
    """Saved, exchanged in the JAR, uploaded, its mark read back; kept at the end."""
    async with serving(project) as (serve, host):
        first = host.state.plugins[KEY]
        assert first.app.name == "Hello"
        assert first.app.version == "1.0"
        assert "[upm-dev r1 " in first.app.description
        [told] = [each["message"] for each in serve.of("notice", severity="info")]
        assert "goes into target/hello-1.0.jar, built " in told

        project.edit('key="greet" section', 'key="salute" section')
        confirmed = await serve.seen("target", state="confirmed", revision="r2")
        assert confirmed["by"] == "upm"
        app = host.state.plugins[KEY].app
        assert [each.key for each in app.modules] == ["salute", "hello"]
        assert f"[upm-dev r2 {confirmed['digest'][:12]}]" in app.description
        assert app.description.startswith("Greets.")

        assert await serve.stop() == 130
        await serve.ended()
        assert KEY in host.state.plugins
        assert serve.events[-1]["left"] == [f"jira: {KEY}"]
        uploads = [each for each in host.journal if each.stage == "install"]
        assert len(uploads) == 2


def uploads(host: SimulatedHost) -> int:
    return sum(each.stage == "install" for each in host.journal)


async def test_what_goes_along_and_a_new_build(project: PluginProject) -> None:
    """Translations go in with the descriptor; a JAR that a build has made is taken as it comes."""
    async with serving(project) as (serve, host):
        project.labels.write_text("greet=Good day\n", "utf-8")
        changed = await serve.seen("changed")
        assert changed["paths"] == ["src/main/resources/messages.properties"]
        await serve.seen("target", state="confirmed", revision="r2")

        project.build(age=1, more={"com/acme/hello/More.class": b"\xca\xfe"})
        changed = await serve.seen("changed")
        assert changed["paths"] == ["target/hello-1.0.jar"]
        await serve.seen("target", state="confirmed", revision="r3")
        project.descriptor.touch()
        assert uploads(host) == 3


async def test_a_jar_that_is_being_written_is_waited_for(project: PluginProject) -> None:
    """Half a JAR, none at all: no error while a build makes one; the whole one is taken."""
    half = project.root.parent / "half"
    half.write_bytes(project.jar.read_bytes()[: project.jar.stat().st_size // 2])
    async with serving(project) as (serve, host):
        new = time.time() + WRITTEN_SECONDS - 0.5  # on a busy machine it is looked at late
        os.utime(half, (new, new))
        half.replace(project.jar)
        assert "is being written" in (await serve.seen("notice"))["message"]
        project.jar.unlink()
        assert "waiting for the build" in (await serve.seen("notice"))["message"]
        assert uploads(host) == 1
        project.build(age=0)
        await serve.seen("target", state="confirmed", revision="r2")
        assert not any(each["errors"] for each in serve.of("checked"))
        changed = {path for each in serve.of("changed") for path in each["paths"]}
        assert changed == {"target/hello-1.0.jar"}


async def test_half_a_jar_that_nobody_writes_any_more(project: PluginProject) -> None:
    """A build that was broken off is told as what it is, and nothing is sent."""
    whole = project.jar.read_bytes()
    async with serving(project) as (serve, host):
        half = project.jar.with_suffix(".part")
        half.write_bytes(whole[: len(whole) // 2])
        os.utime(half, (1, 1))
        half.replace(project.jar)
        assert (await serve.seen("checked", errors=1))["diagnostics"][0]["code"] == "B003"
        assert uploads(host) == 1
        project.build(age=0)
        await serve.seen("target", state="confirmed", revision="r2")


async def test_quiet_before_an_install(project: PluginProject) -> None:
    """An editor that saves by itself restarts the plugin once, with the last content."""
    async with serving(project) as (serve, host):
        for number in range(5):
            project.edit("</link>", f"{number}</link>")
            await serve.seen("published")
        await serve.seen("target", state="confirmed", revision="r6")
        assert uploads(host) < 6  # 2, where the machine is as fast as the editor


async def test_by_address(project: PluginProject) -> None:
    """The host fetches the JAR from us, at an address that is gone once it is in."""
    async with serving(project, "--install", "uri") as (serve, host):
        source = host.state.plugins[KEY].source
        assert "/_upm-dev/artifacts/" in source
        async with aiohttp.ClientSession() as session, session.get(source) as answer:
            assert answer.status == 404
        assert await serve.stop() == 130


async def test_into_a_folder(project: PluginProject, tmp_path: Path) -> None:
    """Where a folder is named the JAR lies there, whole, and a restart is asked for."""
    folder = tmp_path / "installed-plugins"
    folder.mkdir()
    async with serving(project, "--install-folder", folder, awaited="restart-needed") as (_, host):
        assert zipfile.is_zipfile(folder / "hello-1.0.jar")
        assert [each.name for each in folder.iterdir()] == ["hello-1.0.jar"]
        assert KEY not in host.state.plugins


async def test_a_locked_host_names_the_property(project: PluginProject) -> None:
    """Upload is switched off: the message says which property switches it on."""
    async with simulated_host(port=0, profile="dc-locked") as host:
        token = host.state.users.new_personal_token("admin")
        async with upm_dev(
            "serve", project.root, "--json", "--port", "0", "--target", host.url,
            env=environment(UPM_DEV_TOKEN=token),
        ) as serve:  # fmt: skip
            refused = await serve.seen("target", state="refused")
            assert refused["code"] == "UPM403-UPLOAD-DISABLED"
            assert "-Dupm.plugin.upload.enabled=true" in refused["remedy"]


async def test_basic_switched_off_names_the_token(project: PluginProject) -> None:
    """A password is not taken: the message says what is."""
    async with serving(project, profile="dc-locked", awaited="rejected") as (serve, _):
        rejected = serve.of("target", state="rejected")[0]
        assert "basic.auth" in rejected["remedy"] or "TOKEN" in rejected["remedy"]


async def test_an_unsigned_jar_names_the_property(project: PluginProject) -> None:
    """Where signatures are checked, the message says how a development host leaves that."""
    locked = replace(load_profile("dc"), signatures=True)
    async with (
        simulated_host(port=0, profile=locked) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        refused = await serve.seen("target", state="refused")
        assert refused["code"] == "TASK-SIGNATURE"
        assert "signature.check.disabled" in refused["remedy"]


async def test_what_needs_a_restart(project: PluginProject) -> None:
    """An old type of module is exchanged at the next start: its own state, never confirmed."""
    function = '<jql-function key="f" class="com.acme.hello.Hello"><fname>f</fname></jql-function>'
    async with serving(project) as (serve, host):
        project.edit("</atlassian-plugin>", f"{function}</atlassian-plugin>")
        told = await serve.seen("target", state="restart-needed", revision="r2")
        assert "restart" in told["remedy"]
        assert not serve.of("target", state="confirmed", revision="r2")
        assert host.state.plugins[KEY].restart == "upgrade"


async def test_an_older_version_is_not_sent(project: PluginProject) -> None:
    """Hosts skip it without a word, so it is refused before the upload."""
    async with serving(project) as (serve, host):
        project.edit("${project.version}", "0.9")
        refused = await serve.seen("target", state="refused")
        assert refused["code"] == "JAR-OLDER"
        assert "1.0" in refused["remedy"]
        assert uploads(host) == 1
        project.edit("<version>0.9", "<version>1.1")
        await serve.seen("target", state="confirmed", revision="r3")


async def test_a_disabled_module_with_its_log_line(project: PluginProject, tmp_path: Path) -> None:
    """Installed, but a module did not come up: named, with what the product's log says of it."""
    log = tmp_path / "atlassian-jira.log"
    log.write_text("2026-11-23 ERROR com.acme.hello was here before\n", "utf-8")
    async with serving(project, "--host-log", log) as (serve, host):
        host.script(Fault(kind="disable", stage="install", code="hello", times=1))
        project.edit("<link>/greet", "<link>/salute")
        await serve.seen("target", state="accepted", revision="r2")
        with log.open("a", encoding="utf-8") as file:
            file.write(
                "2026-11-23 21:00:00 ERROR [c.a.plugin] Unable to enable com.acme.hello:hello\n"
                "java.lang.NoClassDefFoundError: com/acme/hello/Gone\n"
                + "".join(f"\tat com.acme.hello.Hello.step{each}\n" for each in range(9))
                + "Caused by: java.lang.ClassNotFoundException: com.acme.hello.Gone\n"
                "2026-11-23 21:00:00 INFO something else\n"
            )
        told = await serve.seen("log", revision="r2")
        assert told["file"] == str(log)
        assert any("Unable to enable" in each for each in told["lines"])
        assert any(each.startswith("Caused by") for each in told["lines"])
        assert not any("something else" in each or "before" in each for each in told["lines"])
        ended = await serve.seen("target", state="unconfirmed", revision="r2")
        assert ended["code"] == "JAR-MODULES-DISABLED"
        assert "1 module is disabled: hello" in ended["reason"]
        [started] = serve.of("started")
        async with aiohttp.ClientSession() as session:
            page = await (await session.get(started["urls"]["dashboard"])).text()
        assert "Unable to enable com.acme.hello:hello" in page


async def test_a_module_that_was_off_before_is_not_missed(project: PluginProject) -> None:
    """Whoever switched it off knows of it; what was told once is not told at each save."""
    async with serving(project) as (serve, host):
        host.script(Fault(kind="disable", stage="install", code="hello", times=2))
        project.edit("<link>/greet", "<link>/salute")
        await serve.seen("target", state="unconfirmed", revision="r2")
        project.edit("<link>/salute", "<link>/hail")
        await serve.seen("target", state="confirmed", revision="r3")


async def test_a_module_that_is_off_by_the_descriptor(project: PluginProject) -> None:
    """Is where it should be."""
    async with serving(project) as (serve, host):
        host.script(Fault(kind="disable", stage="install", code="hello", times=1))
        project.edit('<servlet key="hello"', '<servlet key="hello" state="disabled"')
        await serve.seen("target", state="confirmed", revision="r2")


async def test_a_module_that_comes_up_a_little_later(project: PluginProject) -> None:
    """Hosts enable some of them once the task is done."""
    async with serving(project) as (serve, host):
        host.script(Fault(kind="disable", stage="install", code="hello", times=1))
        project.edit("<link>/greet", "<link>/salute")

        def is_looked_at() -> bool:
            *_, last = (n for n, each in enumerate(host.journal) if each.stage == "install")
            after = list(host.journal)[last + 1 :]
            return uploads(host) == 2 and any(each.path.endswith("-key") for each in after)

        await host.wait(is_looked_at)
        host.state.set_module(KEY, "hello", enabled=True, user="admin", now=0.0)
        await serve.seen("target", state="confirmed", revision="r2")
        assert not serve.of("target", state="unconfirmed")


async def test_a_target_that_is_away_is_not_put_right(project: PluginProject) -> None:
    """What it runs now, nobody knows: the same is tried again, and nothing else is said."""
    async with serving(project) as (serve, host):
        lost = "upm.pluginInstall.error.response.exception"
        host.script(Fault(kind="error", stage="install", code=lost, times=1))
        project.edit("<link>/greet", "<link>/salute")
        told = await serve.seen("target", state="unavailable", revision="r2")
        assert "r1" not in told["reason"]
        await serve.seen("target", state="confirmed", revision="r2")


@pytest.mark.parametrize("times", [1, 2], ids=["only that one", "the old one too"])
async def test_what_was_disabled_is_put_back(project: PluginProject, times: int) -> None:
    """A revision that the host switched off goes, the last good one comes, as today's version."""
    async with serving(project) as (serve, host):
        host.script(Fault(kind="disable", stage="install", times=times))
        project.edit("${project.version}", "1.1")
        refused = await serve.seen("target", state="refused", revision="r2")
        assert refused["code"] == "JAR-DISABLED"
        assert "r1 was put back" in refused["reason"]
        plugin = host.state.plugins[KEY]
        assert plugin.enabled
        assert plugin.app.version == "1.1"
        assert "[upm-dev r1 " in plugin.app.description
        project.edit("<link>/greet", "<link>/salute")
        await serve.seen("target", state="confirmed", revision="r3")


async def test_what_was_refused_leaves_the_old_one(project: PluginProject) -> None:
    """A task that fails changes nothing on the host, and it says so."""
    async with serving(project) as (serve, host):
        host.script(Fault(kind="error", stage="install", times=1))
        project.edit("<link>/greet", "<link>/salute")
        refused = await serve.seen("target", revision="r2", code="TASK-UNEXPECTED")
        assert "r1 still runs" in refused["reason"]
        assert "[upm-dev r1 " in host.state.plugins[KEY].app.description


async def test_what_is_there_already_is_ours_and_stays(project: PluginProject) -> None:
    """The SDK installed it: taken over without asking, and left there, unless asked otherwise."""
    async with simulated_host(port=0, profile="dc") as host:
        flags = ("--json", "--port", "0", "--target", host.url)
        for more, stays in (((), True), (("--uninstall",), False)):
            async with upm_dev(
                "serve",
                project.root,
                *flags,
                *more,
                env=environment(XDG_STATE_HOME=str(project.root)),
            ) as serve:
                await serve.seen("target", state="confirmed")
                assert await serve.stop() == 130
            assert (KEY in host.state.plugins) is stays


async def test_quick_reload_is_warned_of(project: PluginProject) -> None:
    """It would put the unpatched build back."""
    active = replace(load_profile("dc"), bundled=(known.QUICK_RELOAD,))
    async with (
        simulated_host(port=0, profile=active) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        assert "QuickReload" in (await serve.seen("notice", severity="warning"))["message"]
        await serve.seen("target", state="confirmed")


async def test_another_build_in_its_place_is_replaced(project: PluginProject) -> None:
    """Somebody installs the unpatched JAR: noticed, and ours is installed again."""
    async with serving(project, "--check-every", "0.3") as (serve, host):
        plugin = host.state.plugins[KEY]
        host.state.plugins[KEY] = replace(plugin, app=replace(plugin.app, description="Greets."))
        await serve.seen("target", state="drifted")
        await serve.seen("target", state="confirmed", revision="r1")
        assert "[upm-dev r1 " in host.state.plugins[KEY].app.description


async def test_a_product_that_runs_already_is_the_target(tmp_path: Path) -> None:
    """What answers at the pom's port is taken, and no simulator starts in its place."""
    async with simulated_host(port=0, profile="dc") as host:
        port = host.url.split(":")[2].partition("/")[0]
        project = PluginProject(tmp_path / "hello", settings=f"<httpPort>{port}</httpPort>")
        project.build()
        async with upm_dev("serve", project.root, "--json", "--port", "0") as serve:
            started = await serve.seen("started")
            assert started["targets"] == {"jira": host.url}
            await serve.seen("target", state="confirmed", target="jira")
            await serve.stop()
            await serve.ended()
        assert "jira answers at" in serve.errors


async def test_without_a_product_its_port_stays_free(project: PluginProject) -> None:
    """The simulator of a plugin project takes another port than the product's, which may start."""
    pom = (project.root / "pom.xml").read_text("utf-8")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        free = taken.getsockname()[1]
    settings = f"<configuration><httpPort>{free}</httpPort>"
    (project.root / "pom.xml").write_text(pom.replace("<configuration>", settings), "utf-8")
    async with upm_dev("serve", project.root, "--json", "--port", "0") as serve:
        started = await serve.seen("started")
        url = started["targets"].get("simulator", "")
        if not url:
            pytest.skip("a product runs on this machine")
        assert not url.startswith(("http://localhost:2990/", f"http://localhost:{free}/"))
        await serve.seen("target", state="confirmed", target="simulator")


async def test_the_script_for_real_hosts(project: PluginProject) -> None:
    """It times the loop, here against the simulated host, and puts the descriptor back."""
    before = project.descriptor.read_bytes()
    async with simulated_host(port=0, profile="dc") as host:
        script = await asyncio.create_subprocess_exec(
            "bash",
            str(SCRIPT),
            *(str(project.root), host.url, "1"),
            env=environment(UPM_DEV=str(Path(sys.executable).with_name("upm-dev"))),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(script.communicate(), 60)
    assert [each.split()[:2] for each in out.decode().splitlines()] == [
        ["r1", "confirmed"],
        ["r2", "confirmed"],
    ]
    assert project.descriptor.read_bytes() == before

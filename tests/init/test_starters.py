"""`upm-dev init`: each starter renders, passes, and is confirmed by its kind of host."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from datacenter.plugins import jar
from processes import environment, upm_dev

from devserver.cli.init import STARTERS
from devserver.simulator import simulated_host

HOSTS = {"remote-app": "xml-era", "xml-plugin": "dc", "connect": "connect"}


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devserver", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )


def files(folder: Path) -> Iterator[str]:
    for each in sorted(folder.rglob("*")):
        if each.is_file():
            yield each.relative_to(folder).as_posix()


@pytest.mark.parametrize("starter", STARTERS)
def test_a_starter_renders_and_passes(tmp_path: Path, starter: str) -> None:
    """What init wrote has no error, whatever the name, and nothing of ours is left in it."""
    app = tmp_path / "hello"
    made = run("init", app, "--starter", starter, "--name", 'Grüße & "Co" <1>', "--key", "a.b.c")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "upm-dev serve"
    assert not any("@@" in (app / each).read_text("utf-8") for each in files(app))

    assert run("validate", app).returncode == 0
    rendered = run("render", app)
    assert rendered.returncode == 0, rendered.stderr
    assert "a.b.c" in rendered.stdout
    assert "${" not in rendered.stdout


@pytest.mark.parametrize(("starter", "profile"), HOSTS.items())
async def test_a_starter_is_confirmed(tmp_path: Path, starter: str, profile: str) -> None:
    """The host that its descriptor is for takes it and proves it, by the name that is told."""
    app = tmp_path / "hello"
    assert run("init", app, "--starter", starter).returncode == 0
    async with (
        simulated_host(port=0, profile=profile) as host,
        upm_dev("register", app, "--json", "--port", "0", "--target", host.url) as register,
    ):
        await register.seen("target", state="confirmed", revision="r1")
        assert await register.ended() == 0
        assert host.state.plugins["com.example.hello"].enabled
    told = {urlsplit(event["url"]).path for event in register.of("published")}
    told.add(urlsplit(register.of("started")[0]["urls"]["descriptor"]).path)
    assert told == {each["path"].partition("?")[0] for each in register.of("request")}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one file is in the way none is written, and the message names it."""
    (tmp_path / "upm-dev.toml").write_text("mine", "utf-8")
    made = run("init", tmp_path, "--starter", "connect")
    assert made.returncode == 2
    assert "upm-dev.toml" in made.stderr
    assert [*files(tmp_path)] == ["upm-dev.toml"]


def test_it_works_in_the_folder_itself(tmp_path: Path) -> None:
    """Without DIR the project comes here, named after the folder, beside what does not clash."""
    here = tmp_path / "My App!"
    here.mkdir()
    (here / "notes.txt").write_text("mine", "utf-8")
    made = run("init", "--starter", "xml-plugin", cwd=here)
    assert made.returncode == 0, made.stderr
    assert made.stdout == "upm-dev serve\n"
    assert "com.example.my-app" in run("render", here).stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--starter"),
        (("--starter", "nope"), "p2-plugin"),
        (("--starter", "connect", "--key", "a b"), "no key"),
        (("--starter", "connect", "--name", " "), "needs a name"),
    ],
    ids=["no starter", "unknown starter", "bad key", "no name"],
)
def test_what_cannot_be_is_said(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    """A script that leaves something out, or gives nonsense, is told; nothing is written."""
    made = run("init", tmp_path / "app", *flags)
    assert made.returncode == 2
    assert said in made.stderr
    assert not (tmp_path / "app").exists()


def test_it_asks_at_a_terminal(tmp_path: Path) -> None:
    """Starter, name and key; what will not do is asked again, and Enter takes what is offered."""
    ours, theirs = os.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "devserver", "init", "hello"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=tmp_path,
        env=environment(),
    )
    os.close(theirs)
    os.write(ours, b"nope\nxml-plugin\nMine & Yours\na b\n\n")
    assert asked.stdout is not None
    with asked.stdout as said:
        assert said.read() == b"cd hello\nupm-dev serve\n"
    assert asked.wait(10) == 0
    seen = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "a plugin without code" in seen
    assert "'a b' is no key for an app" in seen
    text = (tmp_path / "hello/upm-dev.toml").read_text("utf-8")
    assert 'key = "com.example.hello"' in text
    assert 'name = "Mine & Yours"' in text


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where a folder is needed is told as what it is."""
    (tmp_path / "app").write_text("a file", "utf-8")
    made = run("init", tmp_path / "app", "--starter", "connect")
    assert made.returncode == 2
    assert "cannot be written" in made.stderr


async def test_the_plugin_starter_goes_in_as_a_jar(tmp_path: Path) -> None:
    """Packed as a build would pack it, it is confirmed by a Data Center host."""
    app = tmp_path / "hello"
    assert run("init", app, "--starter", "p2-plugin").returncode == 0
    resources = app / "src/main/resources"
    rendered = run("render", app).stdout
    (app / "target").mkdir()
    entries = {each: (resources / each).read_bytes() for each in files(resources)}
    entries["atlassian-plugin.xml"] = rendered.encode()
    headers = {"Bundle-SymbolicName": "a", "Atlassian-Plugin-Key": "com.example.hello"}
    (app / "target/hello-1.0.0-SNAPSHOT.jar").write_bytes(jar(entries, headers))
    async with (
        simulated_host(port=0, profile="dc") as host,
        upm_dev("register", app, "--json", "--port", "0", "--target", host.url) as register,
    ):
        await register.seen("target", state="confirmed", revision="r1", by="upm")
        assert await register.ended() == 0
        plugin = host.state.plugins["com.example.hello"]
        assert [each.key for each in plugin.app.modules] == ["styles", "greet"]
        assert plugin.app.version == "1.0.0-SNAPSHOT"

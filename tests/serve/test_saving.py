"""However an editor saves: exactly one registration, and of the final content."""

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import upm_dev
from projects import PAGE, TEMPLATE, Project

from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "hello")


def installs(host: SimulatedHost) -> int:
    return sum(each.stage == "install" for each in host.journal)


def version_on(host: SimulatedHost) -> str:
    return host.state.plugins["com.acme.hello"].app.version


def pages_on(host: SimulatedHost) -> list[str]:
    modules = host.state.plugins["com.acme.hello"].app.modules
    return [each.name for each in modules if each.type == "general-page"]


async def in_two_steps(first: Callable[[], object], second: Callable[[], object]) -> None:
    """As an editor that is in the middle of a save for 20 ms."""

    def save() -> None:
        first()
        threading.Event().wait(0.02)
        second()

    await asyncio.to_thread(save)


async def write(project: Project, text: str) -> None:
    project.save(text)


async def rename_over(project: Project, text: str) -> None:
    project.save_by_rename(text)


async def as_vim(project: Project, text: str) -> None:
    project.save_as_vim(text)


async def truncate_then_write(project: Project, text: str) -> None:
    await in_two_steps(project.truncate, lambda: project.save(text))


async def delete_then_create(project: Project, text: str) -> None:
    await in_two_steps(project.template.unlink, lambda: project.save(text))


async def in_halves(project: Project, text: str) -> None:
    """An open file, written in two pieces."""
    half = len(text) // 2
    with project.template.open("w", encoding="utf-8") as file:
        await in_two_steps(
            lambda: print(text[:half], end="", file=file, flush=True),
            lambda: file.write(text[half:]),
        )


async def slow_rename(project: Project, text: str) -> None:
    """The old file is moved away first, as for a backup."""
    backup = project.template.with_suffix(".bak")
    await in_two_steps(lambda: project.template.rename(backup), lambda: project.save(text))


WAYS = (
    write,
    rename_over,
    as_vim,
    truncate_then_write,
    delete_then_create,
    in_halves,
    slow_rename,
)


async def test_each_way_of_saving_is_one_registration(project: Project) -> None:
    """In place, by rename, vim's four steps, truncated, deleted, in pieces: one install each."""
    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")
        for number, way in enumerate(WAYS, start=2):
            await way(project, project.template_with(f"{number}.0"))
            await serve.seen("target", state="confirmed", revision=f"r{number}")
            assert version_on(host) == f"{number}.0", way.__name__
        assert installs(host) == 1 + len(WAYS)
        assert not serve.of("withheld")


async def test_an_include_is_followed_wherever_it_lies(project: Project) -> None:
    """Truncated and written, in a new folder with files in it, through a link: one install each."""
    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")

        await in_two_steps(
            lambda: project.truncate(project.include),
            lambda: project.save(PAGE.replace('name="Hello"', 'name="Two"'), project.include),
        )
        await serve.seen("target", state="confirmed", revision="r2")
        assert pages_on(host) == ["Two"]

        folder = project.root / "parts"
        folder.mkdir()
        project.save(PAGE.replace('name="Hello"', 'name="Three"'), folder / "page.xml.j2")
        project.save(TEMPLATE.replace('"page.xml.j2"', '"parts/page.xml.j2"'))
        await serve.seen("target", state="confirmed", revision="r3")
        assert pages_on(host) == ["Three"]

        project.save(PAGE.replace('name="Hello"', 'name="Four"'), folder / "page.xml.j2")
        await serve.seen("target", state="confirmed", revision="r4")
        assert pages_on(host) == ["Four"]

        real = project.root / "real" / "page.xml.j2"
        real.parent.mkdir()
        project.save(PAGE.replace('name="Hello"', 'name="Five"'), real)
        link = folder / "link~"
        link.symlink_to(real)
        link.replace(folder / "page.xml.j2")
        await serve.seen("target", state="confirmed", revision="r5")
        project.save(PAGE.replace('name="Hello"', 'name="Six"'), real)
        await serve.seen("target", state="confirmed", revision="r6")
        assert pages_on(host) == ["Six"]

        assert installs(host) == 6


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


async def test_a_checkout_of_another_branch_is_one_registration(project: Project) -> None:
    """Template and include change together: never one of them alone reaches the target."""
    git(project.root, "init", "-b", "main")
    git(project.root, "add", ".")
    git(project.root, "commit", "-m", "one")
    git(project.root, "checkout", "-b", "other")
    project.save(TEMPLATE.replace("page.xml.j2", "pages.xml.j2").replace("{{ version }}", "2.0"))
    project.include.rename(project.root / "pages.xml.j2")
    git(project.root, "add", ".")
    git(project.root, "commit", "-m", "two")
    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")
        for number, (branch, version) in enumerate((("main", "1.0"), ("other", "2.0")), start=2):
            await asyncio.to_thread(git, project.root, "checkout", branch)
            await serve.seen("target", state="confirmed", revision=f"r{number}")
            assert version_on(host) == version
        assert installs(host) == 3
        assert not serve.of("withheld")


async def test_a_new_branch_is_rendered_where_the_template_tells_it(project: Project) -> None:
    """`git.branch` is part of what is looked at, though no file of the project has changed."""
    git(project.root, "init", "-b", "main")
    project.save(TEMPLATE.replace("{{ name }}", "{{ name }} {{ git.branch }}"))
    git(project.root, "add", ".")
    git(project.root, "commit", "-m", "one")
    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")
        git(project.root, "checkout", "-b", "feature")
        changed = await serve.seen("changed")
        assert changed["paths"] == [".git/HEAD"]
        await serve.seen("target", state="confirmed", revision="r2")
        assert host.state.plugins["com.acme.hello"].app.name == "Hello World feature"


async def test_a_template_that_is_never_quiet_is_told_all_the_same(project: Project) -> None:
    """Rewritten without a pause and broken all along: withheld within the limit."""
    done = threading.Event()

    def hurry() -> None:
        number = 0
        while not done.wait(0.03):
            number += 1
            project.save(TEMPLATE + f"<broken{number}")

    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")
        writing = asyncio.create_task(asyncio.to_thread(hurry))
        try:
            await serve.seen("withheld", within=8)
        finally:
            done.set()
            await writing


async def test_a_deleted_template_is_the_only_change(project: Project) -> None:
    """What it included is not looked at any more; it has not changed."""
    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")
        project.template.unlink()
        changed = await serve.seen("changed")
        assert changed["paths"] == ["atlassian-plugin.xml.j2"]


async def test_a_thousand_saves_in_a_second_end_with_the_last(project: Project) -> None:
    """At most forty registrations, and the last content is the one that runs."""

    def hurry() -> float:
        started = time.monotonic()
        for number in range(1000):
            project.save(project.template_with(f"1.{number}"))
            until = started + number / 1000
            while time.monotonic() < until:
                os.sched_yield()
        return time.monotonic() - started

    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed", revision="r1")
        before = installs(host)
        taken = await asyncio.to_thread(hurry)
        async with asyncio.timeout(10):
            while version_on(host) != "1.999":
                await serve.seen("target", state="confirmed")
        assert installs(host) - before <= 40 * max(1.0, taken)
        assert await serve.stop() == 130
        await serve.ended()
        last = serve.of("target", state="confirmed")[-1]
        assert last["revision"] == serve.of("published")[-1]["revision"]


async def test_polling_sees_what_no_event_tells(project: Project) -> None:
    """`--poll` works without the system's events, and says that it polls."""
    async with (
        simulated_host(port=0) as host,
        upm_dev(
            "serve", project.root, "--json", "--port", "0", "--target", host.url, "--poll"
        ) as serve,
    ):
        started = await serve.seen("started")
        assert started["watcher"] == "polling"
        await serve.seen("target", state="confirmed", revision="r1")
        project.save(project.template_with("2.0"))
        await serve.seen("target", state="confirmed", revision="r2")


async def test_settings_that_change_are_told(project: Project) -> None:
    """They were read at the start; nobody should wait for what a change of them does."""
    async with (
        simulated_host(port=0) as host,
        upm_dev("serve", project.root, "--json", "--port", "0", "--target", host.url) as serve,
    ):
        await serve.seen("target", state="confirmed")
        text = project.settings.read_text(encoding="utf-8")
        project.save(text.replace("Hello World", "Another"), project.settings)
        told = await serve.seen("notice", severity="warning")
    assert told["message"].startswith("upm-dev.toml has changed")
    assert "start it again" in told["remedy"]

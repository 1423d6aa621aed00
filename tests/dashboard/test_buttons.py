"""Every button of the dashboard, pressed in Chromium, by what it does on the other side."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from browsing import NEEDED, live, opened
from dashboard.house import APP, House, house
from processes import environment, upm_dev
from projects import PAGE, Project

from devserver.simulator import SimulatedHost

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

pytestmark = NEEDED
KEY = "com.acme.hello"


async def until(holds: Callable[[], bool], within: float = 8.0) -> None:
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - files and the simulator tell nobody
            await asyncio.sleep(0.01)


def running(home: House) -> str | None:
    """Of the app, as the host has it."""
    return home.host.state.plugins[KEY].app.version


async def at(context: "BrowserContext", home: House, view: str = "") -> "Page":
    page = await opened(context, f"{home.dashboard}/{view}", [])
    await live(page)
    return page


async def test_fix_it(tmp_path: Path, context: "BrowserContext") -> None:
    """The file is mended as the rule says, from the overlay too, and goes on its way by itself."""
    async with house(tmp_path) as home:
        page = await at(context, home)
        home.project.save(PAGE.replace('url="/hello"', 'url="hello"'), home.project.include)
        overlay = page.get_by_role("dialog")
        await overlay.get_by_role("button", name="Fix it").click()
        await overlay.wait_for(state="hidden")
        await until(lambda: home.project.include.read_text(encoding="utf-8") == PAGE)

        text = home.project.template.read_text(encoding="utf-8")
        home.project.save(text.replace("remote_plugin_installed", "remote_plugin_instaled"))
        panel = page.locator("#diagnostics")
        await panel.get_by_role("button", name="Fix it").click()
        await panel.get_by_text("Nothing is wrong with the descriptor").wait_for()
        # Whoever goes by keys is not sent back to the top of the page.
        assert await page.evaluate("document.activeElement.id") == "diagnostics"
        assert home.project.template.read_text(encoding="utf-8") == text


async def test_unregister_and_register_again(tmp_path: Path, context: "BrowserContext") -> None:
    """The host loses the app, whatever is saved then, and has it again at a word."""
    async with house(tmp_path) as home:
        page = await at(context, home)
        await page.get_by_text("Unregister", exact=True).click()
        assert KEY in home.host.state.plugins  # one click takes nothing away
        await page.get_by_role("button", name="Take it away").click()
        await page.locator("#targets").get_by_text("unregistered").wait_for()
        await until(lambda: KEY not in home.host.state.plugins)
        home.project.save(home.project.template_with("2.0"))
        await page.locator("#now").get_by_text("r2").first.wait_for()
        assert KEY not in home.host.state.plugins

        await page.get_by_role("button", name="Register again").click()
        await page.get_by_text("confirmed r2").wait_for()
        assert running(home) == "2.0"


async def test_enable(tmp_path: Path, context: "BrowserContext") -> None:
    """What an administrator switched off is on again."""
    async with house(tmp_path) as home:
        page = await at(context, home)
        home.host.state.set_enabled(KEY, False, user="admin", now=home.host.now())
        await page.get_by_role("button", name="Enable").click()
        await until(lambda: home.host.state.plugins[KEY].enabled)
        await page.locator("#toast").get_by_text("is enabled on").wait_for()


async def test_allow_it(tmp_path: Path, context: "BrowserContext") -> None:
    """An app that somebody else installed is replaced at the user's word, and not before."""

    async def somebody(project: Project, host: SimulatedHost) -> None:
        other = environment(XDG_STATE_HOME=str(tmp_path / "other"))
        given = ("--target", host.url, "--json", "--port", "0")
        async with upm_dev("register", project.root, *given, env=other) as theirs:
            assert await theirs.process.wait() == 0

    async with house(tmp_path, before=somebody, state="refused") as home:
        page = await at(context, home)
        await page.get_by_text("and not by upm-dev").wait_for()
        await page.get_by_role("button", name="Allow it").click()
        await page.get_by_text("confirmed r1").wait_for()
        assert not await page.get_by_role("button", name="Allow it").count()


async def test_pause_and_go_on(tmp_path: Path, context: "BrowserContext") -> None:
    """Saves are shown and wait; then the newest goes."""
    async with house(tmp_path) as home:
        page = await at(context, home)
        await page.get_by_role("button", name="Pause").click()
        await page.locator("#status").get_by_text("paused").wait_for()
        for version in ("2.0", "3.0"):
            home.project.save(home.project.template_with(version))
            await home.process.seen("published")
        await page.locator("#now").get_by_text("r3").first.wait_for()
        assert running(home) == "1.0"

        await page.get_by_role("button", name="Go on").click()
        await page.get_by_text("confirmed r3").wait_for()
        assert running(home) == "3.0"
        assert not home.process.of("target", state="registering", revision="r2")


async def test_open_in_the_editor(tmp_path: Path, context: "BrowserContext") -> None:
    """The user's editor is started with the file and the place, as arguments, without a shell."""
    told = tmp_path / "told.json"
    editor = tmp_path / "bin" / "code"
    editor.parent.mkdir()
    editor.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        f"open({str(told)!r} + '~', 'w').write(json.dumps(sys.argv[1:]))\n"
        f"os.rename({str(told)!r} + '~', {str(told)!r})\n",
        encoding="utf-8",
    )
    editor.chmod(0o755)
    env = {"EDITOR": "code --wait", "PATH": f"{editor.parent}{os.pathsep}{os.environ['PATH']}"}
    async with house(tmp_path, env=env) as home:
        page = await at(context, home)
        template = home.project.template.read_text(encoding="utf-8")
        home.project.save(template.replace("{{ version }}", "{{ versoin }}"))
        overlay = page.get_by_role("dialog")
        await overlay.get_by_role("button", name="Open in code").click()
        await until(told.exists)
        link = await overlay.locator("a.place").get_attribute("href")
    place = f"{home.project.template}:4:17"
    assert json.loads(told.read_text(encoding="utf-8")) == ["--goto", place]
    assert link == f"vscode://file{place}"


async def test_forget_and_restart(tmp_path: Path, context: "BrowserContext") -> None:
    """What a host shared is forgotten; the app is started anew."""
    async with house(tmp_path) as home:
        page = await at(context, home, "?view=app")
        await page.locator("#tenants").get_by_text(home.host.url).wait_for()
        await page.get_by_text("Forget jira").click()
        await page.get_by_role("button", name="Forget its secrets").click()
        await page.get_by_text("No host has said yet who it is").wait_for()

        await page.locator("#probe").get_by_text("it answers").wait_for()
        await page.get_by_role("button", name="Restart").click()
        await home.process.seen("app", state="starting")
        await home.process.seen("app", state="ready")


async def test_what_a_crashed_app_answered_is_told_as_that(
    tmp_path: Path, context: "BrowserContext"
) -> None:
    """Its pages answered before; and what its next run says is told from what this one said."""
    async with house(tmp_path, app='print("a run begins", flush=True)\n' + APP) as home:
        page = await at(context, home, "?view=app")
        await page.locator("#probe").get_by_text("it answers").wait_for()
        assert "started again" not in await page.locator("#output").inner_text()
        file = home.project.root / "app.py"
        text = file.read_text(encoding="utf-8")
        file.write_text("raise SystemExit(3)\n", encoding="utf-8")
        await page.locator("#probe").get_by_text("it is crashed now").wait_for()
        assert not await page.locator("#probe").get_by_text("it answers").count()

        file.write_text(text, encoding="utf-8")
        await page.locator("#probe").get_by_text("it answers").wait_for()
        runs = (await page.locator("#output").inner_text()).split("── started again ──")
        assert [part.strip() for part in (runs[0], runs[-1])] == ["a run begins", "a run begins"]


async def test_a_choice_outlives_a_save(tmp_path: Path, context: "BrowserContext") -> None:
    """What was picked to be compared is not shifted by the revisions that come in."""
    async with house(tmp_path) as home:
        for number in (2, 3):
            home.project.save(home.project.template_with(f"{number}.0"))
            await home.process.seen("target", state="confirmed", revision=f"r{number}")
        page = await at(context, home, "?view=descriptor")
        await page.locator("#pick-base").select_option("r1")
        await page.locator("#pick-rev").select_option("r2")
        home.project.save(home.project.template_with("4.0"))
        await page.locator("#history ol a", has_text="r4").wait_for()
        assert await page.locator("#pick-base").input_value() == "r1"
        assert await page.locator("#pick-rev").input_value() == "r2"


async def test_a_picked_row_is_in_sight(tmp_path: Path, context: "BrowserContext") -> None:
    """And has the focus: the next one is a key away."""
    async with house(tmp_path) as home:
        async with aiohttp.ClientSession() as client:
            for number in range(60):
                async with client.get(f"{home.public}/hello?n={number}"):
                    pass
        page = await at(context, home, "?view=traffic&only=in")
        row = page.locator("#requests a.row", has_text="n=3").last
        await row.click()
        await live(page)
        picked = page.locator("#requests a.row[aria-current=true]")
        box = await picked.bounding_box()
        assert box is not None
        assert 0 < box["y"] < 720
        assert await page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"


async def test_the_page_inside_the_host(tmp_path: Path, context: "BrowserContext") -> None:
    """A target's row leads to what users see: the app's page in the host's frame, signed."""
    async with house(tmp_path) as home:
        page = await at(context, home)
        await page.locator("#targets").get_by_role("link", name="Hello").click()
        await page.get_by_label("Username").fill("admin")
        await page.get_by_label("Password").fill("admin")
        await page.get_by_role("button", name="Log in").click()
        shown = page.frame_locator('iframe[title="Hello"]')
        await shown.get_by_role("heading", name="PAGE").wait_for()


async def test_the_probe_warns_at_the_line(tmp_path: Path, context: "BrowserContext") -> None:
    """A page that the app does not have is a warning where the descriptor names it."""
    app = APP.replace("/{p:.*}", "/installed")
    async with house(tmp_path, app=app) as home:
        page = await at(context, home)
        home.project.save(PAGE.replace('url="/hello"', 'url="/helo"'), home.project.include)
        warning = page.locator("#diagnostics article").filter(has_text="A404")
        await warning.get_by_text("the app answers 404 for /helo").wait_for()
        assert "page.xml.j2:1:" in await warning.locator(".place").inner_text()
        assert "/helo" in await warning.locator(".current").inner_text()
        await page.goto(f"{home.dashboard}/?view=app")
        await page.get_by_text("1 of 1 missing").wait_for()

        home.project.save(PAGE, home.project.include)
        await page.get_by_text("it answers").wait_for()


async def test_replay_edited(tmp_path: Path, context: "BrowserContext") -> None:
    """Path and body are sent as edited; what was masked goes as it came; HAR and curl hold none."""
    said = tmp_path / "said.txt"
    app = APP.replace(
        "    body = await request.read()\n",
        f"    body = await request.read(); open({str(said)!r}, 'wb').write("
        "request.path_qs.encode() + b' ' + body)\n",
    )
    assert app != APP
    async with house(tmp_path, app=app) as home:
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                f"{home.public}/orders?token=t0ps3cret", json={"password": "h1dden", "n": 1}
            ),
        ):
            pass
        page = await at(context, home, "?view=traffic&only=in&q=orders")
        await page.get_by_role("link").filter(has_text="/orders").click()
        await page.get_by_text("Replay edited").click()
        body = page.get_by_label("Body")
        edited = json.loads(await body.input_value())
        assert edited == {"password": "***", "n": 1}
        await body.fill(json.dumps({**edited, "n": 2}))
        await page.get_by_label("Path", exact=True).fill("/others?token=***")
        await page.get_by_role("button", name="Send to the app").click()
        replays = page.locator(".panel-detail .rows").get_by_role("link")
        await replays.first.wait_for()
        path, _, sent = said.read_text(encoding="utf-8").partition(" ")
        assert (path, json.loads(sent)) == (
            "/others?token=t0ps3cret",
            {"password": "h1dden", "n": 2},
        )

        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.get_by_role("button", name="Copy as curl").click()
        await page.locator("#toast").get_by_text("Copied").wait_for()
        command = await page.evaluate("navigator.clipboard.readText()")
        assert command.startswith("curl -g -i -X POST 'http://localhost:")
        async with page.expect_download() as download:
            await page.locator(".panel-detail").get_by_role("link", name="HAR").click()
        har = (await (await download.value).path()).read_text(encoding="utf-8")
        assert len(json.loads(har)["log"]["entries"]) == 1
        for text in (command, har, await page.content()):
            assert "orders" in text
            assert "t0ps3cret" not in text
            assert "h1dden" not in text


async def test_any_two_revisions(tmp_path: Path, context: "BrowserContext") -> None:
    """They are compared as modules; an edit that was taken back is a revision of its own."""
    item = '<remote-web-item key="w" name="W" section="x"><link>/hello</link></remote-web-item>'
    async with house(tmp_path) as home:
        text = home.project.template.read_text(encoding="utf-8")
        more = text.replace("  <webhook", f"  {item}\n  <webhook")
        for revision, saved in (
            ("r2", more),
            ("r3", text),
            ("r4", home.project.template_with("4")),
        ):
            home.project.save(saved)
            await home.process.seen("target", state="confirmed", revision=revision)
        page = await at(context, home, "?view=descriptor")
        changes = page.locator("#history .changes")
        for old, new, told in (
            ("r1", "r2", 'remote-web-item "w" added'),
            ("r2", "r4", 'remote-web-item "w" removed'),
            ("r1", "r3", "No module differs"),
            ("r4", "r1", '"4" -> "1.0"'),
        ):
            await page.get_by_label("from").select_option(old)
            await page.get_by_label("to", exact=True).select_option(new)
            await page.get_by_role("button", name="Compare").click()
            await page.get_by_role("heading", name=f"{old} to {new}").wait_for()
            assert told in await changes.inner_text()
            assert f"rev={new}" in page.url
        await page.get_by_role("link", name="See the newest beside its template").click()
        await page.get_by_text("{{ name }}").first.wait_for()


async def test_lines_lead_to_each_other(tmp_path: Path, context: "BrowserContext") -> None:
    """From the rendered line to the include it came from, and back."""
    async with house(tmp_path) as home:
        page = await at(context, home, "?view=descriptor")
        await page.locator("#code-r .line", has_text="general-page").get_by_role("link").click()
        there = page.locator(".line:target")
        assert "general-page" in await there.inner_text()
        assert await there.evaluate("each => each.closest('.listing').innerText.includes('{%')")
        await there.get_by_role("link").click()
        assert "#r" in page.url


async def test_targets_with_variables_of_their_own(
    tmp_path: Path, context: "BrowserContext"
) -> None:
    """Each rendering is shown, under the names of those that get it."""

    async def settings(project: Project, host: SimulatedHost) -> None:
        with project.settings.open("a", encoding="utf-8") as file:
            file.write(f'[targets.one]\nurl = "{host.url}"\nuser = "admin"\n')
            file.write(
                '[targets.two]\nurl = "http://localhost:9/x"\nvariables = { name = "Two" }\n'
            )

    async with house(
        tmp_path, "--target", "one", "--target", "two", before=settings, state="unavailable"
    ) as home:
        page = await at(context, home, "?view=descriptor")
        await page.get_by_role("link", name="two", exact=True).click()
        await page.locator("#code-r").get_by_text('"Two"').wait_for()
        await page.get_by_role("link", name="one", exact=False).first.click()
        await page.locator("#code-r").get_by_text('"Hello World"').wait_for()


async def test_what_the_user_does_is_kept(tmp_path: Path, context: "BrowserContext") -> None:
    """Typing, an opened detail and the focus outlive whatever comes in."""
    async with house(tmp_path) as home, aiohttp.ClientSession() as client:
        page = await at(context, home, "?view=traffic&item=c1")
        await page.get_by_text("headers").first.click()
        search = page.get_by_role("searchbox")
        await search.press_sequentially("ins")
        async with client.get(f"{home.public}/hello?again=1"):
            pass
        await page.get_by_role("link").filter(has_text="again=1").wait_for()
        await search.press_sequentially("talled")
        assert await search.input_value() == "installed"
        assert await page.locator("#headers-request").get_attribute("open") is not None
        await page.keyboard.press("Enter")
        await page.wait_for_url("**q=installed*")
        assert not await page.get_by_role("link").filter(has_text="again=1").count()


async def test_by_keyboard_alone(tmp_path: Path, context: "BrowserContext") -> None:
    """Tab reaches every control in its order, the first skips to the content; Enter presses."""
    async with house(tmp_path) as home:
        page = await at(context, home)
        names = []
        for _ in range(16):
            await page.keyboard.press("Tab")
            names.append(await page.evaluate("document.activeElement.innerText.trim()"))
            if names[-1] == "Register again":
                break
        assert names[0] == "Skip to the content"
        assert names[1:6] == ["upm-dev", "Overview", "Descriptor", "Traffic", "App"]
        posts = len([each for each in home.host.journal if each.method == "POST"])
        await page.keyboard.press("Enter")
        await until(lambda: len([e for e in home.host.journal if e.method == "POST"]) > posts)
        assert await page.evaluate("document.activeElement.innerText.trim()") == "Register again"


@pytest.mark.parametrize("view", ["", "?view=descriptor", "?view=traffic", "?view=app"])
async def test_changes_are_said(tmp_path: Path, context: "BrowserContext", view: str) -> None:
    """On every view a screen reader hears what became of a save; no console error on the way."""
    errors: list[str] = []
    async with house(tmp_path) as home:
        page = await opened(context, f"{home.dashboard}/{view}", errors)
        await live(page)
        home.project.save(home.project.template_with("2.0"))
        said = page.locator("[role=status][aria-live=polite]").first
        await said.get_by_text("r2 confirmed").wait_for(state="attached")
        assert page.url.rstrip("/").endswith(view.rstrip("/") or home.dashboard)
        assert errors == []

"""The dashboard in Chromium, as a developer keeps it open."""

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import aiohttp
import pytest
from browsing import NEEDED, live, opened
from dashboard.house import APP, house
from processes import upm_dev
from yarl import URL

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[2] / ".cache" / "axe.min.js"))

pytestmark = NEEDED


async def test_a_morning_of_edits(tmp_path: Path, context: "BrowserContext") -> None:
    """An edit is shown confirmed without a reload; a broken one is laid over, and gone mended."""
    errors: list[str] = []
    async with house(tmp_path) as home:
        page = await opened(context, home.dashboard, errors)
        await live(page)
        await page.evaluate("window.kept = true")
        text = home.project.template_with("2.0")
        home.project.save(text)
        await page.get_by_text("confirmed r2").wait_for(timeout=5000)
        assert await page.title() == "✓ r2 confirmed – upm-dev"

        home.project.save(text.replace("{{ name }}", "{{ nmae }}"))
        overlay = page.get_by_role("dialog")
        await overlay.wait_for(timeout=5000)
        assert "atlassian-plugin.xml.j2:1:" in await overlay.inner_text()
        assert "nmae" in await overlay.locator(".current").inner_text()

        home.project.save(text.replace("2.0", "3.0"))
        await overlay.wait_for(state="hidden", timeout=5000)
        await page.get_by_text("confirmed r3").wait_for(timeout=5000)

        home.project.save(text.replace("{{ name }}", "{{ nmae }}"))
        await overlay.wait_for(timeout=5000)
        await page.keyboard.press("Escape")
        await overlay.wait_for(state="hidden", timeout=5000)
        assert await page.evaluate("window.kept")
        assert errors == []


async def test_a_narrow_page_shows_the_caret(tmp_path: Path, context: "BrowserContext") -> None:
    """A long line is scrolled to what is wrong in it, in the overlay and on the page."""
    async with house(tmp_path) as home:
        page = await opened(context, home.dashboard, [])
        await page.set_viewport_size({"width": 360, "height": 800})
        await live(page)
        text = home.project.template_with("2.0")
        home.project.save(text.replace("<vendor", "<vendor " + "x" * 70 + '="{{ nmae }}"'))
        for place in ("#overlay", "#diagnostics"):
            caret = page.locator(f"{place} .caret i")
            await caret.wait_for()
            code, mark = (
                await page.locator(f"{place} .code").bounding_box(),
                await caret.bounding_box(),
            )
            assert code is not None
            assert mark is not None
            assert code["x"] < mark["x"] < code["x"] + code["width"]
            if place == "#overlay":
                await page.keyboard.press("Escape")


async def test_what_was_closed_stays_closed(tmp_path: Path, context: "BrowserContext") -> None:
    """On the other views too, until another save is broken."""
    async with house(tmp_path) as home:
        page = await opened(context, home.dashboard, [])
        await live(page)
        home.project.save(home.project.template_with("{{ nmae }}"))
        overlay = page.get_by_role("dialog")
        await overlay.wait_for()
        await page.keyboard.press("Escape")
        for path in ("/?view=app", "/?view=descriptor", "/"):
            await page.goto(home.dashboard + path)
            await live(page)
            assert not await overlay.is_visible()
        home.project.save(home.project.template_with("{{ another }}"))
        await overlay.wait_for()


async def test_the_apps_page_has_its_focus_back(tmp_path: Path, context: "BrowserContext") -> None:
    """What was being typed goes on where it was, once the save is mended."""
    async with house(tmp_path, env={"MORE": "<textarea id=t></textarea>"}) as home:
        page = await opened(context, f"{home.public}/hello", [])
        frame = page.frame_locator("iframe[title=upm-dev]")
        await frame.locator("html[data-live=yes]").wait_for(state="attached", timeout=5000)
        await page.locator("#t").click()
        home.project.save(home.project.template_with("{{ nmae }}"))
        await frame.get_by_text("nmae").first.wait_for()
        home.project.save(home.project.template_with("1.0"))
        await page.locator("iframe[title=upm-dev]").wait_for(state="hidden")
        assert await page.evaluate("document.activeElement.id") == "t"


async def test_without_scripts(tmp_path: Path, browser: "Browser") -> None:
    """Buttons are forms: they do what they say, and lead back."""
    async with house(tmp_path) as home:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(home.dashboard)
        await page.get_by_role("button", name="Pause").click()
        await home.process.seen("paused", paused=True)
        await page.get_by_role("button", name="Go on").wait_for()
        await context.close()


async def test_the_app_has_the_overlay(tmp_path: Path, context: "BrowserContext") -> None:
    """Its own pages show it through the proxy, cannot read it, and load again with the app;
    so does the one that stands in for a page while the app is broken.
    """
    errors: list[str] = []
    async with house(tmp_path) as home:
        page = await opened(context, f"{home.public}/hello", errors)
        await page.get_by_role("heading", name="PAGE").wait_for()
        frame = page.frame_locator("iframe[title=upm-dev]")
        await frame.locator("html[data-live=yes]").wait_for(state="attached", timeout=5000)
        text = home.project.template_with("2.0")
        home.project.save(text.replace("{{ name }}", "{{ nmae }}"))
        await frame.get_by_text("nmae").first.wait_for(timeout=5000)
        assert (
            await page.evaluate(
                "(() => { try { return document.querySelector('iframe').contentWindow.document"
                ".body.innerText } catch { return 'not to be read' } })()"
            )
            == "not to be read"
        )
        home.project.save(text)
        await page.locator("iframe[title=upm-dev]").wait_for(state="hidden", timeout=5000)

        app = home.project.root / "app.py"
        app.write_text(app.read_text(encoding="utf-8").replace("PAGE", "ANOTHER"), encoding="utf-8")
        await page.get_by_role("heading", name="ANOTHER").wait_for(timeout=15000)

        good = app.read_text(encoding="utf-8")
        app.write_text("raise SystemExit('on purpose')", encoding="utf-8")
        await home.process.seen("app", state="crashed", within=15)
        await page.goto(f"{home.public}/hello")
        assert await page.title() == "The app does not answer"
        await frame.locator("html[data-live=yes]").wait_for(state="attached", timeout=5000)
        app.write_text(good, encoding="utf-8")
        await page.get_by_role("heading", name="ANOTHER").wait_for(timeout=15000)


async def test_a_hostile_app_owns_nothing(tmp_path: Path, context: "BrowserContext") -> None:
    """A script in the app's page can neither read the dashboard, act on it, nor listen to it."""
    async with house(tmp_path) as home:
        page = await opened(context, f"{home.public}/hello", [])
        done = await page.evaluate(
            """async (dashboard) => {
                const out = {};
                out.read = await fetch(dashboard + "/state").then(() => "read", () => "refused");
                out.act = await fetch(dashboard + "/actions/unregister", {method: "POST",
                    mode: "no-cors", body: new URLSearchParams({target: "jira", token: "x"})})
                    .then((answer) => answer.type, () => "refused");
                out.listen = await new Promise((resolve) => {
                    const socket = new WebSocket(dashboard.replace("http", "ws") + "/live");
                    socket.onopen = () => resolve("heard");
                    socket.onerror = () => resolve("refused");
                });
                out.frame = await new Promise((resolve) => {
                    const frame = document.createElement("iframe");
                    frame.src = dashboard + "/"; frame.onload = () => setTimeout(() => {
                        try { resolve(frame.contentDocument ? "blank" : "framed or refused"); }
                        catch { resolve("framed or refused"); } }, 200);
                    document.body.append(frame);
                });
                out.worker = await navigator.serviceWorker?.register(dashboard + "/static/live.js")
                    .then(() => "registered", () => "refused");
                return out;
            }""",
            home.dashboard,
        )
        assert done["read"] == "refused"
        assert done["act"] in ("refused", "opaque")
        assert done["listen"] == "refused"
        assert done["worker"] == "refused"
        inside = [each for each in page.frames if each.url == f"{home.dashboard}/"]
        for frame in inside:
            assert "upm-dev" not in await frame.evaluate("document.title")
        assert not home.process.of("target", state="unregistered")


async def test_what_others_say_is_text(tmp_path: Path, context: "BrowserContext") -> None:
    """No script of a key, name, path, header, body, error or line of output runs, on any page."""
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    quoted = bad.replace("<", "&lt;")
    alerts: list[str] = []
    errors: list[str] = []
    app = APP.replace("import os\n", f"import os\nprint({bad!r}, flush=True)\n", 1)
    async with house(tmp_path, app=app) as home:
        text = home.project.template.read_text(encoding="utf-8")
        named = text.replace('name="{{ name }}"', f'name="{quoted}"')
        home.project.save(named.replace('key="installed"', 'key="i&lt;b&gt;"'))
        await home.process.seen("published", revision="r2")
        async with aiohttp.ClientSession() as client:
            headers = {"User-Agent": bad, "X-Bad": bad}
            url = f"{home.public}/installed?{bad}"
            async with client.post(url, json={bad: bad}, headers=headers) as answer:
                assert answer.status == 401
            async with client.get(f"{home.public}/{bad}", headers=headers):
                pass
        home.project.save(named.replace("{{ version }}", "{{ '" + bad + "'.x }}"))
        await home.process.seen("withheld")
        page = await opened(context, home.dashboard, errors)
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
        views = ["", "?view=descriptor", "?view=traffic", "?view=app", "overlay"]
        for view in [*views, "?view=traffic&item=c1", "?view=traffic&item=c2"]:
            await page.goto(f"{home.dashboard}/{view}")
            await live(page)
            assert not await page.locator("img, script:not([src])").count(), view
            if view == "?view=app":
                assert bad in await page.locator("#output").inner_text()
        assert "onerror" in await page.locator("#overlay").inner_text()
        assert (alerts, errors) == ([], [])


async def test_callbacks_are_seen_and_replayed(tmp_path: Path, context: "BrowserContext") -> None:
    """A forged one is shown as forged, with what was signed; a genuine one is sent once more."""
    errors: list[str] = []
    async with house(tmp_path) as home:
        page = await opened(context, f"{home.dashboard}/?view=traffic&only=callbacks", errors)
        await live(page)
        async with aiohttp.ClientSession() as client:
            await client.post(f"{home.public}/installed", json={"key": "com.acme.hello"})
        forged = page.get_by_role("link").filter(has_text="forged")
        await forged.wait_for(timeout=5000)
        await forged.click()
        await page.get_by_text("it is not signed").wait_for()

        await page.get_by_role("link").filter(has_text="genuine").first.click()
        await page.get_by_role("button", name="Replay to the app").click()
        await (
            page.locator(".panel-detail")
            .get_by_role("link")
            .filter(has_text="replay of c1")
            .wait_for()
        )
        assert errors == []


async def test_nine_tabs(tmp_path: Path, context: "BrowserContext") -> None:
    """All are live, and all hear of an edit."""
    async with house(tmp_path) as home:
        pages = [await opened(context, home.dashboard, []) for _ in range(9)]
        for page in pages:
            await live(page)
        home.project.save(home.project.template_with("2.0"))
        for page in pages:
            await page.get_by_text("confirmed r2").wait_for(timeout=5000)
        started = time.monotonic()
        await home.process.stop(signal.SIGINT)
        assert time.monotonic() - started < 3


async def test_a_server_that_comes_back(tmp_path: Path, context: "BrowserContext") -> None:
    """The page says that it is gone, and recovers by itself."""
    async with house(tmp_path) as home:
        page = await opened(context, home.dashboard, [])
        await live(page)
        await home.process.stop()
        await page.get_by_text("upm-dev is not running any more").wait_for(timeout=5000)
        public, dashboard = URL(home.public), URL(home.dashboard)
        again = ("serve", home.project.root, "--target", home.host.url, "--trust", "--json")
        ports = ("--port", str(public.port), "--dashboard-port", str(dashboard.port))
        async with upm_dev(*again, *ports) as process:
            await process.seen("target", state="confirmed", within=20)
            await page.get_by_text("confirmed r1").wait_for(timeout=8000)
            gone = page.get_by_text("not running any more")
            await gone.wait_for(state="hidden", timeout=5000)


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: .ci/axe fetches it from npm")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
async def test_everybody_can_use_it(
    tmp_path: Path, browser: "Browser", scheme: Literal["light", "dark"], width: int
) -> None:
    """axe-core finds nothing serious, light and wide, dark and at 360 px; nothing overflows.

    With a target that is away, a forged callback, a crashed app; then with the overlay.
    """
    found: list[tuple[str, ...]] = []

    async def look(url: str, overlay: bool = False) -> None:
        context = await browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
        )
        page = await opened(context, url, [])
        await live(page)
        assert await page.locator("dialog[open]").count() == overlay
        await page.add_script_tag(path=AXE)
        for each in (await page.evaluate("axe.run()"))["violations"]:
            if each["impact"] in ("serious", "critical"):
                found.append((url, each["id"], each["nodes"][0]["html"][:200]))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, url
        await context.close()

    away = ("--target", "http://localhost:9/a-host-with-a-rather-long-address-that-is-away")
    async with house(tmp_path, *away) as home:
        async with aiohttp.ClientSession() as client:
            await client.post(f"{home.public}/installed", json={"key": "com.acme.hello"})
        for path in ("/", "/?view=descriptor", "/?view=traffic&item=c1", "/?view=app"):
            await look(home.dashboard + path)
        (home.project.root / "app.py").write_text("raise SystemExit(1)\n", encoding="utf-8")
        await home.process.seen("app", state="crashed")
        await look(f"{home.dashboard}/?view=app")
        home.project.save(home.project.template_with("{{ versoin }}"))
        await home.process.seen("withheld")
        for path in ("/", "/?view=descriptor", "/overlay"):
            await look(home.dashboard + path, overlay=True)
    assert found == []

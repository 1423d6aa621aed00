"""The tutorial, followed literally in a browser: register-apps-tutorial, steps 1 to 10."""

import importlib.util
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from browsing import NEEDED
from jinja2 import Environment, FileSystemLoader
from simulator.conftest import Start
from simulator.people import App

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ConsoleMessage, Page

SAMPLE = Path(__file__).parents[2] / "sample-plugin"
pytestmark = NEEDED


@pytest.fixture
async def page(context: "BrowserContext") -> "Page":
    return await context.new_page()


async def log_in(page: "Page", url: str) -> None:
    await page.goto(f"{url}/login.jsp")
    await page.get_by_label("Username").fill("admin")
    await page.get_by_label("Password").fill("admin")
    await page.get_by_role("button", name="Log in").click()


async def test_the_tutorial(page: "Page", start: Start, app: App) -> None:
    """Log in, switch private listings on, upload the URL, see it installed, open its page."""
    host = await start(install_time=0.03)
    errors: list[str] = []

    def note(message: "ConsoleMessage") -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", note)

    await log_in(page, host.url)
    await page.get_by_label("Administration", exact=True).click()
    await page.get_by_role("link", name="Add-ons").click()
    await page.get_by_role("link", name="Manage apps").first.click()
    await page.get_by_role("link", name="Settings").click()
    settings = page.get_by_role("dialog", name="Settings")
    await settings.get_by_label("Private listings").check()
    await settings.get_by_role("button", name="Apply").click()
    await page.get_by_role("link", name="Upload app").first.click()
    upload = page.get_by_role("dialog", name="Upload app")
    await upload.get_by_label("From this URL").fill(app.descriptor)
    await upload.get_by_role("button", name="Upload").click()
    await page.get_by_role("dialog", name="Installed and ready to go").wait_for()
    await page.get_by_role("link", name="Close").click()

    listed = page.get_by_role("region", name="User installed apps")
    assert await listed.get_by_text("Hello World").first.is_visible()
    app.body = b"<h1>Hello from the app</h1>"
    app.media_type = "text/html"
    await listed.get_by_role("link", name="Hello", exact=True).click()
    frame = page.frame_locator("iframe")
    await frame.get_by_role("heading", name="Hello from the app").wait_for()
    assert app.fetched[-1].path.startswith("/hello?x=1&tz=")
    assert "oauth_signature=" in app.fetched[-1].path
    assert errors == []
    assert len(await host.called_back("remote_plugin_installed")) == 1


async def test_the_sample_inside_the_host(page: "Page", start: Start) -> None:
    """The sample's page shows in the host, straight from the app's own display-url."""
    host = await start()
    spec = importlib.util.spec_from_file_location("sample_app", SAMPLE / "app.py")
    assert spec
    assert spec.loader
    sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sample)
    made = sample.app()
    base = ""

    async def descriptor(request: web.Request) -> web.Response:
        settings = tomllib.loads((SAMPLE / "upm-dev.toml").read_text("utf-8"))
        templates = Environment(loader=FileSystemLoader(SAMPLE), autoescape=True)
        text = templates.get_template("atlassian-plugin.xml.j2").render(
            base_url=base, **settings["app"]["variables"]
        )
        return web.Response(text=text, content_type="application/xml")

    made.router.add_get("/atlassian-plugin.xml", descriptor)
    runner = web.AppRunner(made, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://localhost:{runner.addresses[0][1]}"
    try:
        await log_in(page, host.url)
        await page.goto(f"{host.url}/plugins/servlet/upm?dialog=upload")
        await page.get_by_label("From this URL").fill(f"{base}/atlassian-plugin.xml")
        await page.get_by_role("button", name="Upload").click()
        await page.get_by_role("link", name="Close").click()
        await page.get_by_role("navigation", name="Apps").get_by_role("link").first.click()
        await page.frame_locator("iframe").get_by_text("Hello, admin!").wait_for()
        (call,) = await host.called_back("remote_plugin_installed")
        assert call.status == 204
    finally:
        await runner.cleanup()


async def test_by_keyboard(page: "Page", start: Start, app: App) -> None:
    """The upload dialog is reached, filled and sent without a mouse; what is behind it is inert."""
    host = await start()
    await log_in(page, host.url)
    await page.goto(f"{host.url}/plugins/servlet/upm")

    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.get_by_role("link", name="Upload app").first.focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("dialog", name="Upload app").wait_for()
    assert await page.evaluate("document.activeElement.id") == "url"
    await page.keyboard.type(app.descriptor)
    await page.keyboard.press("Enter")

    await page.get_by_role("dialog", name="Installed and ready to go").wait_for()
    assert await page.evaluate("document.activeElement.textContent") == "Close"
    assert await page.locator("header[inert]").count() == 1


async def test_hostile_text(page: "Page", start: Start, app: App) -> None:
    """What an app declares is shown, never run: names, descriptions, vendors, pages, events."""
    host = await start()
    bad = "&lt;img src=x onerror=alert(1)&gt;\"'{{7*7}}"
    attribute = bad.replace('"', "&quot;")
    app.serve_xml()
    app.body = app.body.replace(b"Says hello.", bad.encode()).replace(
        b'name="Hello', f'name="{attribute}'.encode()
    )
    app.body = app.body.replace(b'url="https://example.com"', b'url="javascript:alert(1)"')
    ran: list[str] = []
    page.on("dialog", lambda dialog: ran.append(dialog.message))
    await log_in(page, host.url)
    await page.goto(f"{host.url}/plugins/servlet/upm?dialog=upload")
    await page.get_by_label("From this URL").fill(app.descriptor)
    await page.get_by_role("button", name="Upload").click()
    await page.get_by_role("dialog", name="Installed").wait_for()

    for path in ("upm?app=com.example.hello", "upm/log", "ac/com.example.hello/hello"):
        await page.goto(f"{host.url}/plugins/servlet/{path}")
        assert "<img src=x onerror=alert(1)>" in await page.locator("body").inner_text()
        assert await page.locator("img").count() == 0
        assert await page.locator("a[href^=javascript]").count() == 0
    await page.goto(f"{host.origin}/_simulator/")
    assert ran == []

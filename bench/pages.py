"""The pages: what the proxy adds to a request, and how soon a save is seen in a browser."""

import asyncio
import shutil
import socket
import statistics
import time
from pathlib import Path

import aiohttp

from bench.figures import Figure, median
from bench.loop import TEMPLATE, Tool, edited, project, serving
from devserver.simulator import simulated_host

REQUESTS = 400
SAVES = 25
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
APP = """\
import sys
from aiohttp import web
async def small(request):
    return web.Response(text="small")
app = web.Application()
app.add_routes([web.get("/small", small), web.post("/installed", small), web.get("/{p:.*}", small)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
WATCH = """(what) => new Promise((resolve) => {
  const seen = () => {
    const said = document.getElementById("status").textContent;
    const laid = document.getElementById("overlay-dialog");
    return what.every((each) => said.includes(each)
      || (each === "overlay" && laid.open) || (each === "no overlay" && !laid.open));
  };
  const observer = new MutationObserver(() => {
    if (seen()) { observer.disconnect(); resolve(Date.now()); }
  });
  if (seen()) return resolve(Date.now());
  observer.observe(document.body, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
})"""


async def figures() -> list[Figure]:
    found = []
    async with simulated_host(port=0, install_time=0.0) as host, project() as app:
        port = free_port()
        (app / "app.py").write_text(APP, encoding="utf-8")
        settings = app / "upm-dev.toml"
        text = settings.read_text(encoding="utf-8").replace("app.py", f"app.py {port}")
        settings.write_text(text.replace(":3000", f":{port}"), encoding="utf-8")
        async with serving(app, "--trust", "--target", host.url) as tool:
            urls = (await tool.until(lambda event: event["type"] == "started"))["urls"]
            await tool.confirmed()
            found.append(await proxied(f"http://localhost:{port}/small", f"{urls['app']}small"))
            if shutil.which("chromium"):
                found += await seen(urls["dashboard"], app / TEMPLATE, tool)
    return found


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        port: int = each.getsockname()[1]
        return port


async def proxied(direct: str, through: str) -> Figure:
    """What a small request costs more through the proxy, by medians side by side."""
    async with aiohttp.ClientSession() as client:
        taken: dict[str, list[float]] = {direct: [], through: []}
        for run in range(REQUESTS):
            for url in (direct, through):
                started = time.perf_counter()
                async with client.get(url) as answer:
                    await answer.read()
                if run >= REQUESTS // 10:
                    taken[url].append((time.perf_counter() - started) * 1000)
    more = statistics.median(taken[through]) - statistics.median(taken[direct])
    spread = f"{statistics.median(taken[through]):.2f} ms against the app's own"
    return Figure(name="proxy, added to a request", value=more, unit="ms", spread=spread, bar=2)


async def seen(dashboard: str, template: Path, tool: Tool) -> list[Figure]:
    """From a save to what a page shows: the revision, its confirmation; of a mistake, the overlay.

    The host installs at once, so that what is measured is ours; it is in this process, the tool in
    another, the browser in several.
    """
    from playwright.async_api import async_playwright

    text = template.read_text(encoding="utf-8")
    served, confirmed, laid, gone = [], [], [], []
    async with async_playwright() as playwright:
        path = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = await browser.new_page()
        await page.goto(dashboard)
        await page.locator("html[data-live=yes]").wait_for()

        async def after(saved: str, *wanted: list[str]) -> list[float]:
            """Milliseconds from saving *saved* until the page shows each of *wanted*."""
            seeing = [asyncio.create_task(page.evaluate(WATCH, each)) for each in wanted]
            await asyncio.sleep(0.2)
            at = time.time() * 1000
            template.write_text(saved, encoding="utf-8")
            return [await each - at for each in seeing]

        for run in range(SAVES):
            good, revision = edited(text, run), f"r{run + 2}"
            first, last = await after(good, [revision], [revision, "confirmed"])
            served.append(first)
            confirmed.append(last)
            await tool.confirmed(revision)
            laid += await after(good.replace("{{ name }}", "{{ nmae }}"), ["overlay"])
            gone += await after(good, ["no overlay"])
        await browser.close()
    return [
        median("save -> seen in the page", served, "ms", 60),
        median("save -> seen confirmed in the page", confirmed, "ms", 60),
        median("save that breaks it -> overlay", laid, "ms", 300),
        median("save that mends it -> overlay gone", gone, "ms", 300),
    ]

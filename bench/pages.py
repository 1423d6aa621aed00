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
WATCH = """([revision, word]) => new Promise((resolve) => {
  const seen = () => {
    const said = document.getElementById("status").textContent;
    return said.includes(revision) && said.includes(word);
  };
  if (seen()) return resolve(Date.now());
  const observer = new MutationObserver(() => {
    if (seen()) { observer.disconnect(); resolve(Date.now()); }
  });
  observer.observe(document.body, {subtree: true, childList: true, characterData: true});
})"""


async def figures() -> list[Figure]:
    found = []
    async with project() as app:
        port = free_port()
        (app / "app.py").write_text(APP, encoding="utf-8")
        settings = app / "upm-dev.toml"
        text = settings.read_text(encoding="utf-8").replace("app.py", f"app.py {port}")
        settings.write_text(text.replace(":3000", f":{port}"), encoding="utf-8")
        async with serving(app, "--trust") as tool:
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
    """From a save to the new revision in the page; and to its confirmation there."""
    from playwright.async_api import async_playwright

    text = template.read_text(encoding="utf-8")
    served, confirmed = [], []
    async with async_playwright() as playwright:
        path = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = await browser.new_page()
        await page.goto(dashboard)
        await page.locator("html[data-live=yes]").wait_for()
        for run in range(SAVES):
            revision = f"r{run + 2}"
            first = asyncio.create_task(page.evaluate(WATCH, [revision, ""]))
            last = asyncio.create_task(page.evaluate(WATCH, [revision, "confirmed"]))
            await asyncio.sleep(0.2 + run * 0.0013)
            saved = time.time()
            template.write_text(edited(text, run), encoding="utf-8")
            served.append(await first - saved * 1000)
            confirmed.append(await last - saved * 1000)
            await tool.confirmed(revision)
        await browser.close()
    return [
        median("save -> seen in the page", served, "ms", 60),
        median("save -> seen confirmed in the page", confirmed, "ms"),
    ]

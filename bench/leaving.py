"""The way out: from SIGINT to the end, five dashboards open and one of two targets hanging."""

import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from bench.figures import Figure, median
from bench.loop import project, serving
from devserver.simulator import Fault, SimulatedHost, simulated_host

RUNS = 10
DASHBOARDS = 5


async def figures() -> list[Figure]:
    async with project() as app:
        taken = [await leave(app) for _ in range(RUNS)]
    name = f"SIGINT -> exit, {DASHBOARDS} dashboards, a target hanging"
    return [median(name, taken, "ms", bar=1500)]


async def leave(app: Path) -> float:
    """Milliseconds; the app must be gone from the target that answers, and left on the other."""
    async with (
        simulated_host(port=0, install_time=0.0) as well,
        simulated_host(port=0, install_time=0.0) as ill,
        serving(app, "--target", well.url, "--target", ill.url) as tool,
        aiohttp.ClientSession() as client,
        AsyncExitStack() as pages,
    ):
        urls = (await tool.until(lambda event: event["type"] == "started"))["urls"]
        await tool.confirmed()
        await tool.confirmed()
        before = len(apps(well))
        for _ in range(DASHBOARDS):
            headers = {"Origin": urls["dashboard"]}
            live = client.ws_connect(f"{urls['dashboard']}/live", headers=headers)
            page = await pages.enter_async_context(live)
            await page.receive_json()
        ill.script(Fault(kind="hang", stage="any"))
        began = time.monotonic()
        tool.process.send_signal(signal.SIGINT)
        stopped = await tool.until(lambda event: event["type"] == "stopped")
        await tool.process.wait()
        took = (time.monotonic() - began) * 1000
        if len(apps(well)) != before - 1 or len(stopped["left"]) != 1:
            raise RuntimeError(f"the app was not unregistered where that was possible: {stopped}")
    return took


def apps(host: SimulatedHost) -> set[str]:
    return set(host.state.plugins)

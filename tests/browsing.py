"""Pages in Chromium, and when they are live."""

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEEDED = [
    pytest.mark.browser,
    # Not in CI, which installs it: there a browser that is missing is a failure.
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="needs chromium: apt-get install chromium",
    ),
]


async def opened(context: "BrowserContext", url: str, errors: list[str]) -> "Page":
    """A page that is live; what its console says against it goes to *errors*."""
    page = await context.new_page()
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(url)
    return page


async def live(page: "Page") -> None:
    await page.locator("html[data-live=yes]").wait_for(state="attached", timeout=5000)

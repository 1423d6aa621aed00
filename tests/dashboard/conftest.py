"""One Chromium a test, where it asks for one."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from dashboard.browsing import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext


@pytest.fixture
async def browser() -> AsyncIterator["Browser"]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def context(browser: "Browser") -> AsyncIterator["BrowserContext"]:
    context = await browser.new_context()
    yield context
    await context.close()

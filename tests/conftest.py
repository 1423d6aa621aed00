"""What every test starts from."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
from browsing import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

STATE = "XDG_STATE_HOME"


@pytest.fixture(autouse=True, scope="session")
def _nothing_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is kept in the state folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE, str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test leaves behind is not told in the next."""
    monkeypatch.setenv(STATE, str(tmp_path_factory.mktemp("state")))


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

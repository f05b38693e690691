"""Browser tests: Playwright for Python with a Chromium that is installed already; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_ledger import Ledger

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "x" * 10_000,
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 agent",
    "a/b",
    "100%25 sure?#&=+~",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def serving() -> Any:
    """The module serving.py; skips where what it needs is not installed."""
    pytest.importorskip("playwright.sync_api", reason="the extra test-browser is not installed")
    pytest.importorskip("datasette", reason="the extra datasette is not installed")
    import serving

    if serving.CHROMIUM is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    return serving


@pytest.fixture(scope="session")
def address(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Datasette with the demo ledger and one full of hostile text."""
    folder = tmp_path_factory.mktemp("served")
    hostile = folder / "hostile.db"
    with Ledger(hostile) as ledger:
        for number, text in enumerate(HOSTILE):
            ledger.record_call(
                agent_id=text, request_id=text, customer_id=text, feature=text, model="claude-sonnet-4-5",
                provider="anthropic", prompt_tokens=1000 + number, completion_tokens=100,
                ts=f"2026-10-{number + 1:02}T10:00:00.000Z",
            )  # fmt: skip
            ledger.assign(text[:200], team=text, feature=text, owner=text)
    with serving.served(serving.demo_ledger(folder), hostile) as found:
        yield found


@pytest.fixture(scope="module")
def browser(serving: Any) -> Iterator[Any]:
    """One Chromium per module. It must not live longer: while it does, no other test can have an event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=serving.CHROMIUM, args=list(serving.ARGUMENTS))


@pytest.fixture
def open_page(serving: Any, browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens a path at a width, in light or dark. What a page must not do fails the test at its end."""
    watches = []

    def opened(path: str, width: int = 1024, scheme: str = "light", **options: Any) -> Any:
        context = browser.new_context(
            base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        context.set_default_timeout(15_000)
        watches.append((context, serving.Watch(context)))
        page = context.new_page()
        page.goto(path)
        return page

    yield opened
    for context, watch in watches:
        context.close()
        assert not watch.wrong

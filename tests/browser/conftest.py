"""A browser, a report of a synthetic study, and a page that fails its test when something goes wrong in it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.support import chromium
from tests.support.report_stages import make_report
from tests.support.synthetic_study import write_everything

# How fast the page is, is a benchmark's to say: a busy machine must not fail a test.
expect.set_options(timeout=20_000)
# A download is made in the page and never leaves it.
INSIDE = ("blob:", "data:")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what opens a browser as slow."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the system's Chromium; without one the tests are skipped, unless the environment demands it."""
    try:
        with chromium.started() as found:
            yield found
    except chromium.NoBrowserError as error:
        (pytest.fail if error.demanded else pytest.skip)(str(error))


@pytest.fixture(scope="session")
def study_report(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a study with about every outcome, three runs of 60 prompts each; not to be changed.

    It is made by the first test that needs it, whichever process that is in; comparison.json, comparison.csv and
    report.md lie beside it.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "study-report"
    with FileLock(base / "study-report.lock"):
        if not (folder / "report.md").exists():
            make_report(write_everything(folder, count=60, runs=3, examples=60), folder)
    return folder / "report.html"


@pytest.fixture
def open_report(browser: Browser, study_report: Path) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a report in a context of its own.

    ``open_report(path=None, fragment="", **context_options)``: the synthetic study's report where no path is given;
    ``fragment`` without its #; the options are those of Playwright's ``browser.new_context``.

    The test fails at its end if the page wrote an error or a warning to the console, raised an error, showed a dialog
    or asked for anything but its own file.
    """
    contexts, faults = [], []

    def watch(page: Page, address: str) -> None:
        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                faults.append(f"console {message.type}: {message.text}")

        def asked(url: str) -> None:
            if url.partition("#")[0] != address and not url.startswith(INSIDE):
                faults.append(f"request: {url}")

        page.on("console", heard)
        page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
        page.on("request", lambda request: asked(request.url))
        page.on("websocket", lambda socket: faults.append(f"socket: {socket.url}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def opened(path: Path | None = None, fragment: str = "", **context_options: object) -> Page:
        context = browser.new_context(**context_options)
        context.set_default_timeout(5_000)
        contexts.append(context)
        page = context.new_page()
        address = (path or study_report).resolve().as_uri()
        watch(page, address)
        page.goto(f"{address}#{fragment}" if fragment else address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []

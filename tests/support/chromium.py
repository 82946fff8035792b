"""Finds and starts the system's Chromium. Nothing is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

VARIABLE = "UDACIHEADLINE_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    # Whatever would still ask for something finds no host.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class NoBrowserError(Exception):
    """There is no Chromium; ``demanded`` says whether one was asked for."""

    def __init__(self, text: str, demanded: bool) -> None:
        super().__init__(text)
        self.demanded = demanded


def find() -> str:
    """Return Chromium's path: the one that the environment names, or the first on the PATH.

    Raises:
        NoBrowserError: there is none.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        if found := shutil.which(wanted):
            return found
        raise NoBrowserError(f"{VARIABLE} names {wanted}, which is no program", demanded=True)
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    raise NoBrowserError(f"no Chromium on the PATH ({', '.join(NAMES)}), and {VARIABLE} is not set", demanded=False)


@contextmanager
def started() -> Iterator[Browser]:
    """Start Chromium without a window, and end it.

    Raises:
        NoBrowserError: there is none.
    """
    path = find()
    # Chromium's sandbox refuses to be root's.
    arguments = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else list(QUIET)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()

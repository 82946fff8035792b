"""Takes pictures of a report: wide, phone, dark and in print.

python -m tests.support.screenshots results/report.html --output folder
"""

import argparse
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support import chromium

WIDE = {"width": 1440, "height": 1000}
PHONE = {"width": 390, "height": 844}
# A4, landscape, at the 96 pixels an inch that a browser prints with.
SHEET = {"width": 1123, "height": 794}
# Chromium draws no picture in one piece that is much higher than 16,000, and nobody can read one.
HIGHEST = 4_000


def main() -> None:
    """Open the report in each form and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--fragment", default="", help="choices to open the report with, as in its address")
    parser.add_argument("--open", action="store_true", help="with everything unfolded")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    address = arguments.report.resolve().as_uri() + (f"#{arguments.fragment}" if arguments.fragment else "")
    with chromium.started() as browser:
        for name, options in (("wide", {"viewport": WIDE}), ("phone", {"viewport": PHONE}),
                              ("dark", {"viewport": WIDE, "color_scheme": "dark"})):  # fmt: skip
            _take(_opened(browser, address, arguments.open, **options), arguments.output / name)
        page = _opened(browser, address, arguments.open, viewport=SHEET)
        page.pdf(path=arguments.output / "print.pdf", prefer_css_page_size=True, print_background=True)
        page.emulate_media(media="print")
        _take(page, arguments.output / "print")


def _opened(browser: Browser, address: str, unfold: bool, **options: object) -> Page:
    page = browser.new_page(**options)
    page.on("console", lambda message: print(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: print(f"page error: {error}"))
    page.goto(address)
    # The page draws headlines once they are scrolled to, which a picture of all of it never does.
    page.add_style_tag(content=".example { content-visibility: visible !important; }")
    if unfold:
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    return page


def _take(page: Page, path: Path) -> None:
    """Write the whole page to ``path``.png, or to ``path``-1.png and so on where it is too high for one picture."""
    size = page.evaluate("[document.documentElement.clientWidth, document.documentElement.scrollHeight]")
    starts = range(0, size[1], HIGHEST)
    for number, top in enumerate(starts, start=1):
        clip = {"x": 0, "y": top, "width": size[0], "height": min(HIGHEST, size[1] - top)}
        name = f"{path.name}-{number}.png" if len(starts) > 1 else f"{path.name}.png"
        page.screenshot(path=path.with_name(name), full_page=True, clip=clip)
        print(path.with_name(name))


if __name__ == "__main__":
    main()

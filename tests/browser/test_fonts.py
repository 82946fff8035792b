"""The page holds with any font, size and spacing that a reader has: nothing is cut off, what scrolls says so."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import fonts
from tests.browser.layout import lost, resized, unfold

WIDTHS = (390, 768, 1024, 1440)
FORMS = {
    "narrow": {"font": "narrow"},
    "wide": {"font": "wide"},
    "monospaced": {"font": "monospaced"},
    "wide, 125%": {"font": "wide", "size": 1.25},
    "wide, spaced": {"font": "wide", "spaced": True},
}


def fits(page: Page) -> bool:
    return page.locator("#results > .scroll").evaluate("box => box.scrollWidth <= box.clientWidth + 1")


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_cut_off_whatever_the_readers_font(open_report: Callable[..., Page], form: str) -> None:
    page = open_report(viewport={"width": WIDTHS[-1], "height": 900}, bypass_csp=True)
    unfold(page)
    fonts.use(page, **FORMS[form])
    for width in WIDTHS:
        resized(page, width)
        assert lost(page) == [], width


@pytest.mark.parametrize("font", fonts.FONTS)
def test_the_main_columns_fit_a_usual_window_in_any_font(open_report: Callable[..., Page], font: str) -> None:
    page = open_report(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    fonts.use(page, font)
    resized(page, 1441)
    assert fits(page)


def test_a_table_that_goes_on_shows_where(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport={"width": 390, "height": 800})
    box = page.locator("#results > .scroll")
    sides = []
    for place in ("0", "box.scrollWidth / 3", "box.scrollWidth"):
        box.evaluate(f"box => {{ box.scrollLeft = {place}; }}")
        resized(page, 390)
        sides.append(box.get_attribute("data-more"))
    assert sides == ["right", "left right", "left"]
    page.evaluate("location.hash = '#results&columns=latency_s'")
    expect(box).not_to_have_attribute("data-more", re.compile(""))
    assert fits(page)


def test_without_scripts_nothing_is_cut_off_either(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport={"width": 390, "height": 800}, java_script_enabled=False)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator("html").evaluate("html => html.scrollWidth") <= width

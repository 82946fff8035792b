"""No violation of WCAG 2.2 AA that axe-core finds: light and dark, wide and phone, folded and unfolded."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.layout import unfold

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
CONTRAST = "color-contrast"
# Colours depend on the scheme and take axe by far the longest; everything else depends on what is shown where.
FORMS = {
    "wide, light, unfolded": (WIDE, "light", True, {}),
    "wide, dark, unfolded: colours": (WIDE, "dark", True, {"runOnly": {"type": "rule", "values": [CONTRAST]}}),
    "phone, dark, folded": (PHONE, "dark", False, {}),
    "phone, light, unfolded: all but colours": (PHONE, "light", True, {"rules": {CONTRAST: {"enabled": False}}}),
}


@pytest.mark.parametrize("form", FORMS)
def test_axe_finds_nothing(open_report: Callable[..., Page], form: str) -> None:
    viewport, scheme, unfolded, options = FORMS[form]
    page = open_report(viewport=viewport, color_scheme=scheme)
    if unfolded:
        unfold(page)
    found = violations(page, options)
    # Good practice beyond the standard is printed alone.
    practice = {text for text in found if not text.startswith("wcag")}
    print(*sorted(practice), sep="\n")
    assert sorted(found - practice) == []


def violations(page: Page, options: dict[str, Any]) -> set[str]:
    """Return what axe finds, one line for each element."""
    every = {"runOnly": {"type": "tag", "values": [*WCAG, "best-practice"]}, "resultTypes": ["violations"]}
    response = Axe().run(page, options=every | options).response
    return {
        f"{kind(rule)} {rule['id']}: {' '.join(map(str, node['target']))} {node['html'][:160]} {node['failureSummary']}"
        for rule in response["violations"]
        for node in rule["nodes"]
    }


def kind(rule: dict[str, Any]) -> str:
    return "wcag" if set(WCAG) & set(rule["tags"]) else "best-practice"

"""The page where it is shown elsewhere: on paper, in the dark, and from a link to one of its parts."""

import re
import shutil
import subprocess
from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.controls import visible


def words(text: str) -> str:
    return " ".join(text.split())


def test_print_holds_the_answer_and_no_controls(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport={"width": 1123, "height": 794})
    answer = words(page.locator("#decision .answer").inner_text())
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert answer in words(page.locator("body").inner_text())
    # A heading of the table that sorts it is a heading still.
    assert visible(page, "button:not(thead button), input, select, textarea, nav") == []
    assert page.locator("table.results").is_visible()
    if shutil.which("pdftotext"):
        done = subprocess.run(["pdftotext", "-raw", "-", "-"], input=pdf, capture_output=True, check=True)
        printed = words(done.stdout.decode())
        told = page.locator("#answer p:visible").all_inner_texts()
        assert len(told) > 3
        assert [sentence for sentence in told if words(sentence) not in printed] == []


def test_the_dark_scheme_turns_the_page_dark(open_report: Callable[..., Page]) -> None:
    shades = []
    for scheme in ("light", "dark"):
        page = open_report(color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(map(int, re.findall(r"\d+", colour)[:3])) / 3)
    assert shades[0] > 240
    assert shades[1] < 40


def test_every_link_leads_to_a_part_of_the_page(open_report: Callable[..., Page]) -> None:
    """Those that scripts make too."""
    page = open_report()
    links = page.locator("a[href]").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    known = set(page.locator("[id]").evaluate_all("parts => parts.map((part) => part.id)"))
    assert len(links) > 20
    assert {link for link in links if not (link.startswith("#") and link[1:] in known)} == set()

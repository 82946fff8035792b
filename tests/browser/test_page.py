"""The page as a whole: alone, safe, addressable, and usable by keyboard and without scripts."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect

from tests.browser.controls import visible

SCRIPTS = Path(__file__).resolve().parents[2] / "report" / "scripts"
CHOICES = "find=cache&sort=-latency_s&picked=nf4"
IMPORTANT = (
    "#headline", "#cards .card", "#speedups tbody tr", "#examples .excerpt", "#tradeoff .plot svg", "#results tbody tr",
    "#techniques details", "#headlines .example", "#trust .verdict-line",
)  # fmt: skip
FOLDED = (
    "#overall .candidate", "#scenarios .situation", "#changes tbody tr", "#references table", "#definitions dt",
)  # fmt: skip
# What stands before the details is read without a click; a screen is 900 pixels high.
MOST_SCREENS = 10
RUBBISH = (
    "%E0%A4%A",
    "%",
    "x",
    "{",
    "null",
    "-1",
    "1e999",
    "__proto__",
    "max_devices!many~fits_gpu!Abacus~no!1",
    "latency!-4~quality",
    "constructor,toString",
    "a=b&=&&c",
    "9" * 5000,
)


def test_the_policy_lets_nothing_run_but_the_pages_own_script(browser: Browser, study_report: Path) -> None:
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(study_report.as_uri())
    page.evaluate("""() => {
      const put = (tag, attributes, text) => {
        const element = document.createElement(tag);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        element.textContent = text;
        document.body.prepend(element);
        return element;
      };
      put("button", {onclick: "window.__pwned = 'handler'"}, "press").click();
      put("a", {href: "javascript:window.__pwned = 'link'"}, "link").click();
      put("script", {}, "window.__pwned = 'script'");
      put("img", {src: "https://example.invalid/x.png", onerror: "window.__pwned = 'image'"}, "");
      put("iframe", {srcdoc: "<script>parent.__pwned = 'frame'<\\/script>"}, "");
    }""")
    page.wait_for_timeout(300)
    assert page.evaluate("window.__pwned") is None
    kinds = ("event handler", "script-src", "img-src")
    assert [any(kind in text for text in refused) for kind in kinds] == [True] * len(kinds), refused
    page.close()


def test_choices_outlive_links_within_the_page_and_the_way_back(open_report: Callable[..., Page]) -> None:
    page = open_report(fragment=f"results&{CHOICES}")
    chosen = ("tr.picked", "th[aria-sort]", "table.results tbody tr:not([hidden])")

    def state() -> list[list[str]]:
        return [page.locator(f"table.results {selector}").all_inner_texts() for selector in chosen[:2]] + [
            page.locator(chosen[2]).evaluate_all("rows => rows.map((row) => row.id)")
        ]

    before = state()
    assert all(before)
    for section in ("headlines", "trust"):
        page.locator(f"nav a[href='#{section}']").click()
        page.wait_for_url(re.compile(f"#{section}&"))
        assert state() == before
    page.go_back()
    page.wait_for_url(re.compile("#headlines&"))
    assert state() == before
    page.go_forward()
    page.wait_for_url(re.compile("#trust&"))
    assert state() == before
    page.reload()
    assert state() == before
    assert page.locator("#results-find").input_value() == "cache"


def test_an_address_that_makes_no_sense_does_no_harm(open_report: Callable[..., Page]) -> None:
    """Every value that an address can hold, all at once; the page says what it says without."""
    keys = re.findall(
        r'State\.field\("(\w+)"', "".join(path.read_text(encoding="utf-8") for path in sorted(SCRIPTS.glob("*.js")))
    )
    assert {"limits", "weights", "sort", "columns", "picked", "prompts"} <= set(keys)
    page = open_report()

    def state() -> list[Any]:
        return [
            page.locator(selector).all_inner_texts() for selector in ("#top h3", "table.results thead th", "#choice")
        ] + [page.locator("table.results tbody tr:visible").count()]

    before = state()
    for rubbish in RUBBISH:
        # Text to find is whatever it is.
        pairs = "&".join(f"{key}={quote(rubbish, safe='%&=')}" for key in keys if key != "find")
        page.evaluate("(fragment) => { location.hash = fragment; }", f"__proto__&{pairs}")
        page.wait_for_timeout(50)
        assert state() == before, rubbish
    page.reload()
    assert state() == before


def test_everything_important_is_there_without_scripts(open_report: Callable[..., Page]) -> None:
    page = open_report(java_script_enabled=False)
    for selector in IMPORTANT:
        assert page.locator(selector).first.is_visible(), selector
    for selector in FOLDED:
        assert not page.locator(selector).first.is_visible(), selector
        page.locator(f"{selector.split()[0]} > summary").click()
        assert page.locator(selector).first.is_visible(), selector
    assert visible(page, "button, input, select, textarea") == []
    counts = {"#top .candidate": 3, "table.results thead th:visible": 10, "#headlines article": 12}
    assert {selector: page.locator(selector).count() for selector in counts} == counts
    assert "results/comparison.json" in page.locator("#reproduce").text_content()
    page.locator("#technique-tensor_parallel_4 > summary").click()
    assert page.get_by_role("heading", name="Why it has no figures").first.is_visible()


def test_the_navigation_says_which_section_is_in_view(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport={"width": 1440, "height": 900})
    links = page.locator("nav.sections a")
    titles = ["Answer", "Trade-off", "Table", "Techniques", "Headlines", "Trust"]
    assert links.all_inner_texts() == titles
    for title in [*titles, "Answer"]:
        links.get_by_text(title, exact=True).click()
        expect(page.locator("nav.sections [aria-current]")).to_have_text(title)
        assert page.locator("nav.sections").bounding_box()["y"] == 0 or title == "Answer"
    assert page.evaluate("document.documentElement.scrollHeight") <= MOST_SCREENS * 900


def test_an_address_opens_the_details_that_it_is_in(open_report: Callable[..., Page]) -> None:
    page = open_report(fragment="changes")
    expect(page.locator("#changes table").first).to_be_visible()
    expect(page.locator("#changes")).to_be_in_viewport()
    page.locator('#results a[href="#changes"]').first.click()
    assert page.locator("#lossless").get_attribute("open") is None
    page.evaluate("location.hash = '#lossless'")
    expect(page.locator("#lossless table").first).to_be_visible()


_WALK = """
() => {
  const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter((element) => element.tabIndex >= 0 && !element.disabled)
    .filter((element) => element.checkVisibility({visibilityProperty: true}));
  const look = (element) => JSON.stringify([element, ...element.children].map((part) => {
    const {outlineStyle, outlineWidth, boxShadow, stroke, strokeWidth} = getComputedStyle(part);
    return [outlineStyle, outlineWidth, boxShadow, stroke, strokeWidth];
  }));
  const named = (element) => element.cloneNode(false).outerHTML.slice(0, 160);
  const reached = [], looks = [], unseen = [], backwards = [];
  document.addEventListener("focusin", ({target}) => {
    const last = reached.at(-1);
    if (last?.isConnected) {
      if (look(last) === looks.at(-1)) unseen.push(named(last));
      const before = last.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_PRECEDING;
      if (before && target !== reached[0]) backwards.push(named(target));
    }
    reached.push(target);
    looks.push(look(target));
  });
  window.walk = {
    count: stops.length,
    rounds: () => reached.lastIndexOf(reached[0]),
    // What was replaced on the way, as the panel of the technique that has the focus, is another thing now.
    found: () => ({missed: stops.filter((element) => element.isConnected && !reached.includes(element)).map(named),
                   unseen, backwards}),
  };
}
"""


def test_the_tab_key_reaches_every_control_in_order_and_shows_where_it_is(open_report: Callable[..., Page]) -> None:
    page = open_report()
    page.evaluate(_WALK)
    for _ in range(page.evaluate("walk.count") + 10):
        page.keyboard.press("Tab")
    # A trap would have kept the focus from coming round.
    assert page.evaluate("walk.rounds()") >= 1
    assert page.evaluate("walk.found()") == {"missed": [], "unseen": [], "backwards": []}

"""What a large report costs: making it, opening it, and using each of its controls, in a Markdown table.

    python -m tests.performance.report_page

The study is made up and scored first, which is not counted; the stages run in processes of their own, and their
imports count. An interaction lasts from its event until the frame that shows what it did has been drawn; of each kind
the longest is told.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.support import chromium
from tests.support.large_study import Size, write_large_study
from tests.support.report_stages import make_report

MEGABYTE = 1_000_000
LOADS = 5
# Stage or figure -> what it must stay under, in its unit.
TARGETS = {"render": 15.0, "report.html": 6.0, "first contentful paint": 1.0, "interaction": 100.0}
_MEASURE = """
async () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const say = (element, type) => element.dispatchEvent(new Event(type, {bubbles: true}));
  const press = (element) => () => element.click();
  const put = (element, value, type) => () => { element.value = value; say(element, type); };
  const choose = (selector) => all(selector).flatMap((select) =>
    [...select.options].map((option) => put(select, option.value, "change")));
  const type = (selector, texts) => all(selector).flatMap((field) => texts.map((text) => put(field, text, "input")));
  const drag = (selector) => all(selector).filter((slider) => !slider.disabled).flatMap((slider) => {
    const [low, high] = [Number(slider.min), Number(slider.max)];
    return [0, 0.4, 0.8, 1].map((share) => put(slider, Math.round(low + share * (high - low)), "input"));
  });
  const tick = (selector) => all(selector).flatMap((box) => [press(box), press(box)]);
  const point = (selector) => all(selector).map((mark) => () => {
    const {x, y, width, height} = mark.getBoundingClientRect();
    const at = {bubbles: true, clientX: x + width / 2, clientY: y + height / 2};
    for (const type of ["pointermove", "mouseover"]) mark.dispatchEvent(new PointerEvent(type, at));
  });
  const kinds = {
    "limit": drag("#limits [data-limit] input[type=range]"),
    "weight": drag("#limits [data-weight] input[type=range]"),
    "price": type("#price", ["1", "12", "12.5"]),
    "scenario's limits": all("#scenarios [data-use]").map(press),
    "reset": all("#limits-reset").map(press),
    "chart axis": choose("#tradeoff-x, #tradeoff-y"),
    "chart point": point("#tradeoff-chart .point"),
    "table row": point("#results tbody tr"),
    "table order": all("#results th button").flatMap((button) => [press(button), press(button), press(button)]),
    "table search": type("#results-find", ["c", "ca", "cache", "zz", ""]),
    "table filter": tick("#results [data-only]"),
    "table column": tick("#results-columns input[type=checkbox]"),
    "table columns": ["all", "study", "main"].flatMap((name) => all(`#results [data-preset=${name}]`).map(press)),
    "headlines filter": choose("#headlines-controls select"),
    "headlines search": type("#headlines-controls [name=search]", ["s", "storm", "storm vote", "zz", ""]),
    "headlines technique": tick("#headlines-controls input[name=technique]").slice(0, 8),
    "headlines page": all("#headlines-pager [data-step='1']").flatMap((button) => [press(button), press(button)]),
    "all techniques open": all("#techniques button").slice(0, 1).flatMap((button) => [press(button), press(button)]),
  };
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const found = {};
  for (const [kind, actions] of Object.entries(kinds)) {
    found[kind] = [];
    for (const action of actions) {
      await frame();
      const began = performance.now();
      action();
      await frame();
      found[kind].push(performance.now() - began);
    }
  }
  return found;
}
"""
_OPENED = """
() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByType("paint").find((entry) => entry.name === "first-contentful-paint");
  return [paint ? paint.startTime : NaN, page.loadEventEnd];
}
"""


@dataclass(frozen=True)
class Line:
    """One figure of the table; ``target`` is what it must stay under, where there is such a bound."""

    what: str
    value: float
    unit: str
    target: float | None = None

    @property
    def over(self) -> bool:
        """Whether the figure is not under its target; one that could not be read is not."""
        return self.target is not None and not self.value < self.target

    def __str__(self) -> str:
        bound = f"< {self.target:g} {self.unit}" if self.target is not None else ""
        return f"| {self.what} | {self.value:.3g} {self.unit} | {bound} | {'**over**' if self.over else ''} |"


def main() -> None:
    """Make the study and its report, use it, and print the table; exit with status 1 if a figure is over its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("techniques", 25), ("samples", 500), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=Path, help="folder to keep the files in")
    arguments = parser.parse_args()
    size = Size(arguments.techniques, arguments.samples, arguments.runs)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        seconds = make_report(write_large_study(folder, size), folder)
        lines = [Line(stage, value, "s", TARGETS.get(stage)) for stage, value in seconds.items()]
        for name in ("comparison.json", "comparison.csv", "report.html", "report.md"):
            lines.append(Line(name, (folder / name).stat().st_size / MEGABYTE, "MB", TARGETS.get(name)))
        with chromium.started() as browser:
            lines += opening(browser, folder / "report.html") + using(browser, folder / "report.html")
    print(f"{size.techniques} techniques x {size.samples} samples x {size.runs} runs\n")
    print("| what | measured | target | |\n|---|---:|---:|---|")
    print(*lines, sep="\n")
    sys.exit(any(line.over for line in lines))


def opening(browser: Browser, path: Path) -> list[Line]:
    """Open the page several times; return the medians."""
    times = []
    for _ in range(LOADS):
        page = _opened(browser, path)
        times.append(page.evaluate(_OPENED))
        page.close()
    paint, load = (statistics.median(values) / 1000 for values in zip(*times, strict=True))
    first = "first contentful paint"
    return [Line(first, paint, "s", TARGETS[first]), Line("load", load, "s")]


def using(browser: Browser, path: Path) -> list[Line]:
    """Use every control; return the longest interaction of each kind."""
    page = _opened(browser, path)
    found = page.evaluate(_MEASURE)
    missing = [kind for kind, times in found.items() if not times]
    if missing:
        raise RuntimeError(f"the report has no control for: {', '.join(missing)}")
    target = TARGETS["interaction"]
    return [Line(f"{kind}, longest of {len(times)}", max(times), "ms", target) for kind, times in found.items()]


def _opened(browser: Browser, path: Path) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(300_000)
    page.goto(path.resolve().as_uri())
    # Paint entries come after the frame that they tell of.
    page.wait_for_timeout(500)
    return page


if __name__ == "__main__":
    main()

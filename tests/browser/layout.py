"""What a page shows at a width: whether anything is cut off, or reaches beyond the window."""

from playwright.sync_api import Page

_LOST = """
() => {
  const page = document.documentElement, room = page.clientWidth, found = [];
  const say = (element, why) => found.push(`${why}: ${element.cloneNode(false).outerHTML.slice(0, 120)}`);
  const flow = (element) => getComputedStyle(element).overflowX;
  const scrolls = (element) => ["auto", "scroll"].includes(flow(element));
  const boxed = ({ parentElement }) => parentElement !== null && (scrolls(parentElement) || boxed(parentElement));
  if (page.scrollWidth > room) say(page, `${page.scrollWidth} wide`);
  for (const element of document.querySelectorAll("body *:not(.skip, .unseen, #announcements, option, textarea)")) {
    if (!element.checkVisibility() || (element.ownerSVGElement && element.tagName !== "svg")) continue;
    const { left, right, width } = element.getBoundingClientRect(), over = element.scrollWidth - element.clientWidth;
    if (width && (left < -1 || right > room + 1) && !boxed(element)) say(element, `from ${left} to ${right}`);
    if (over > 1 && flow(element) === "hidden" && !element.matches("input")) say(element, "cut off");
    if (over > 1 && scrolls(element)) {
      if (element.tabIndex < 0 && !element.querySelector("a[href], button, [tabindex]")) say(element, "out of reach");
      if (!element.dataset.more || getComputedStyle(element).boxShadow === "none") say(element, "goes on unseen");
    }
  }
  return found;
}
"""


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")


def resized(page: Page, width: int) -> None:
    """Give the window another width, and the page the two frames that it needs to follow."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(done))))"
    )


def lost(page: Page) -> list[str]:
    """Say what is cut off, out of reach, or goes on unseen; one line each."""
    return page.evaluate(_LOST)

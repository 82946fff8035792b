"""Finds the controls of a page, and uses every one of them, whatever it is."""

from playwright.sync_api import Page

_USE = """
(text) => {
  const used = {};
  const say = (element, ...types) => types.forEach((type) => element.dispatchEvent(new Event(type, {bubbles: true})));
  const count = (kind) => { used[kind] = (used[kind] ?? 0) + 1; };
  for (const part of document.querySelectorAll("details")) { part.open = true; count("details"); }
  for (const mark of document.querySelectorAll("[data-technique]")) {
    for (const type of ["pointerover", "mouseover", "pointerenter", "mouseenter"]) {
      mark.dispatchEvent(new PointerEvent(type, {bubbles: type.endsWith("over")}));
    }
    mark.dispatchEvent(new FocusEvent("focusin", {bubbles: true}));
    count("mark");
  }
  for (const control of [...document.querySelectorAll("select, input, textarea, button, svg [tabindex]")]) {
    if (!control.isConnected || control.disabled || !control.checkVisibility()) continue;
    const kind = control.type?.baseVal ?? control.type ?? "mark";
    if (kind === "select-one" || kind === "select-multiple") {
      for (const option of [...control.options]) { control.value = option.value; say(control, "input", "change"); }
    } else if (kind === "range" || kind === "number") {
      for (const value of [control.min || "1", control.max || "3"]) {
        control.value = value; say(control, "input", "change");
      }
    } else if (kind === "search" || kind === "text" || kind === "textarea") {
      control.value = text; say(control, "input", "change");
      control.value = ""; say(control, "input", "change");
    } else {
      control.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}));
    }
    count(kind);
  }
  return used;
}
"""


def use_every_control(page: Page, text: str) -> dict[str, int]:
    """Unfold, hover, choose, drag, type ``text``, and press everything that is there.

    Returns:
        How many of each kind were used: ``details``, ``mark``, and the types of inputs and buttons.
    """
    used = page.evaluate(_USE, text)
    # What is put off to the next frame, or until the reader stops typing, happens too.
    page.wait_for_timeout(600)
    return used


def visible(page: Page, selector: str) -> list[str]:
    """Return the start tags of the elements that are shown."""
    found = page.locator(selector).evaluate_all(
        "all => all.filter((one) => one.checkVisibility({visibilityProperty: true})).map((one) => one.outerHTML)"
    )
    return [tag.partition(">")[0] + ">" for tag in found]

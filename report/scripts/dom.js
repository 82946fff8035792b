// Elements are built from text and attributes alone: nothing that a headline or a label holds is ever read as markup.
const Dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function filled(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value === true ? "" : String(value));
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }

  // el("td", {class: "number"}, "1.2"); children are elements or text.
  const el = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Tells what changed to those who do not see it.
  function announce(text) {
    const place = find("#announcements");
    if (place && place.textContent !== text) place.textContent = text;
  }

  // Runs a function at most once a frame, with the last arguments.
  function perFrame(run) {
    let waiting = null;
    return (...given) => {
      if (waiting === null) requestAnimationFrame(() => { const last = waiting; waiting = null; run(...last); });
      waiting = given;
    };
  }

  // A label from the data, which may be of any length; the whole of a long one is its title.
  function label(text, limit = 60) {
    const line = text.split(/\s+/).join(" ").trim();
    const cut = [...line].length > limit;
    return el("bdi", { title: cut ? text : null }, cut ? `${[...line].slice(0, limit - 1).join("").trimEnd()}…` : line);
  }

  return { el, label, svg, find, all, announce, perFrame };
})();

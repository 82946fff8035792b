// What the reader chose. It stands in the address's fragment, so that an address shows another reader the same page.
const State = (() => {
  const fields = new Map();
  const values = {};
  const listeners = [];
  let anchor = "";
  let pending = null;

  // Declares a value: its initial one, and how it is written to the fragment and read from it. Reading returns undefined
  // for text that it can't make sense of; a value without `write` is not kept in the fragment.
  function field(key, { initial, write = null, read = null }) {
    fields.set(key, { initial, write, read });
    values[key] = initial;
  }

  const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
  const get = (key) => values[key];

  function set(patch) {
    const changed = Object.keys(patch).filter((key) => !same(values[key], patch[key]));
    if (!changed.length) return;
    for (const key of changed) values[key] = patch[key];
    if (changed.some((key) => fields.get(key)?.write)) writeLater();
    notify(changed);
  }

  // Picks a technique, or lets go of the one that is picked.
  const pick = (name) => set({ picked: values.picked === name ? null : name });

  function notify(changed) {
    for (const { keys, run } of listeners) if (keys.some((key) => changed.includes(key))) run();
  }

  // Calls a function after any of these values changed.
  const on = (keys, run) => listeners.push({ keys, run });

  function fragment() {
    const parts = [];
    for (const [key, { initial, write }] of fields) {
      if (write && !same(values[key], initial)) parts.push(`${encodeURIComponent(key)}=${encodeURIComponent(write(values[key]))}`);
    }
    return [anchor, ...parts].filter(Boolean).join("&");
  }

  function writeLater() {
    clearTimeout(pending);
    pending = setTimeout(writeNow, 150);
  }

  function writeNow() {
    const wanted = fragment();
    if (wanted !== location.hash.slice(1)) history.replaceState(null, "", wanted ? `#${wanted}` : location.pathname + location.search);
  }

  function decoded(text) {
    try { return decodeURIComponent(text); } catch { return null; }
  }

  // Reads the fragment: a section's id, if any, then key=value pairs. What is unknown or invalid is left out.
  function load() {
    clearTimeout(pending);
    const [first, ...rest] = location.hash.slice(1).split("&");
    const pairs = first.includes("=") ? [first, ...rest] : rest;
    anchor = first.includes("=") ? "" : (decoded(first) ?? "");
    const given = new Map(pairs.map((pair) => pair.split("=", 2).map(decoded)));
    const patch = {};
    for (const [key, { initial, read }] of fields) {
      if (!read) continue;
      const found = given.get(key) != null ? read(given.get(key)) : undefined;
      patch[key] = found === undefined ? initial : found;
    }
    const changed = Object.keys(patch).filter((key) => !same(values[key], patch[key]));
    Object.assign(values, patch);
    notify(changed);
    return anchor;
  }

  // A link within the page names a section alone: the section is kept, and the choices are put beside it again.
  function followLinks() {
    addEventListener("hashchange", () => {
      const now = location.hash.slice(1);
      if (now.includes("=")) {
        if (now !== fragment()) load();
      } else {
        anchor = decoded(now) ?? "";
        writeNow();
      }
    });
  }

  return { field, get, set, pick, on, load, followLinks, fragment, decoded };
})();

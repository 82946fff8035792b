// The sections: which one is in view, and details that a link, an address or a search names are opened.
const Sections = (() => {
  const decoded = (text) => State.decoded(text.replace(/^#/, "").split("&")[0]);

  // Opens every closed detail around an element, and the element itself where it is one.
  function reveal(element) {
    for (let part = element; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  }

  function named(fragment) {
    const id = decoded(fragment);
    return id ? document.getElementById(id) : null;
  }

  // Before the browser goes there: it goes to where the element is then.
  function followLinks() {
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.('a[href^="#"]');
      const target = link && named(link.getAttribute("href"));
      if (target?.closest("details")) reveal(target);
    });
    addEventListener("hashchange", () => {
      const target = named(location.hash);
      if (target?.closest("details")) reveal(target);
    });
    const first = named(location.hash);
    if (first?.closest("details")) reveal(first);
  }

  // The section whose head is the last one above a third of the window.
  function current(sections) {
    const line = innerHeight / 3;
    const above = sections.filter((section) => section.getBoundingClientRect().top <= line);
    const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2 && scrollY > 0;
    return atEnd ? sections.at(-1) : above.at(-1) ?? sections[0];
  }

  function follow() {
    const bar = Dom.find("nav.sections > div");
    const links = new Map(Dom.all("a", bar).map((link) => [link.getAttribute("href").slice(1), link]));
    const sections = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    if (!sections.length) return;
    let last = null;
    const look = Dom.perFrame(() => {
      const now = current(sections).id;
      if (now === last) return;
      links.get(last)?.removeAttribute("aria-current");
      const link = links.get(now);
      link.setAttribute("aria-current", "true");
      if (bar.scrollWidth > bar.clientWidth) bar.scrollTo({ left: link.offsetLeft - bar.clientWidth / 3 });
      last = now;
    });
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    look();
  }

  function start() {
    followLinks();
    follow();
  }

  return { start, reveal };
})();

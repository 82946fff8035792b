// Opens the section of a technique that an address or a link names, and all of them at once.
const Techniques = (() => {
  const PREFIX = "technique-";
  let sections = [];
  const A_FRAME = 4;
  let button = null;
  let waiting = null;

  function named(fragment) {
    const id = State.decoded(fragment.replace(/^#/, "").split("&")[0]);
    const found = id?.startsWith(PREFIX) ? document.getElementById(id) : null;
    return found?.tagName === "DETAILS" ? found : null;
  }

  function reveal(fragment) {
    const section = named(fragment);
    if (section) section.open = true;
    return section;
  }

  const shown = () => sections.filter((section) => section.open).length;

  function tell() {
    const all = shown() === sections.length;
    const text = all ? "Close all" : "Open all";
    if (button.textContent === text) return;
    button.textContent = text;
    button.setAttribute("aria-expanded", String(all));
  }

  function switchAll() {
    const open = waiting === null && shown() < sections.length;
    cancelAnimationFrame(waiting);
    waiting = null;
    if (open) openSome();
    else for (const section of sections) section.open = false;
    tell();
    Dom.announce(`${sections.length} techniques ${open ? "opened" : "closed"}`);
  }

  // A few a frame: laid out all at once they would keep the page from answering.
  function openSome() {
    for (const section of sections.filter((one) => !one.open).slice(0, A_FRAME)) section.open = true;
    waiting = shown() < sections.length ? requestAnimationFrame(openSome) : null;
  }

  function start() {
    sections = Dom.all("details.technique");
    button = Dom.find("#open-techniques");
    if (!button) return;
    button.addEventListener("click", switchAll);
    // A details element tells of its opening to itself alone, so this listens on the way down.
    Dom.find("#technique-list").addEventListener("toggle", Dom.perFrame(tell), true);
    // Before the browser goes there: it goes to where the section is then.
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.('a[href^="#technique-"]');
      if (link) reveal(link.getAttribute("href"));
    });
    addEventListener("hashchange", () => reveal(location.hash));
    reveal(location.hash);
  }

  return { start };
})();

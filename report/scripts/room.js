// Room for tables: the widest is set tighter where it would not fit, and a box that goes on sideways shows on which side.
const Room = (() => {
  const BOXES = ".scroll, .plot, .curve, nav.sections > div";
  const SLACK = 1;

  function sides(box) {
    const hidden = box.scrollWidth - box.clientWidth, before = box.scrollLeft;
    return hidden <= SLACK ? [] : [before > SLACK && "left", before < hidden - SLACK && "right"].filter(Boolean);
  }

  function mark(box) {
    const text = sides(box).join(" ");
    if (box.dataset.more === text) return;
    if (text) box.dataset.more = text; else delete box.dataset.more;
  }

  // Whichever font a reader has: numbers as they are where they fit, wrapped intervals and heads where they do not.
  function fit(table) {
    table.classList.remove("tight");
    const box = table.parentElement;
    table.classList.toggle("tight", box.scrollWidth - box.clientWidth > SLACK);
  }

  function look() {
    for (const table of Dom.all("table.results")) fit(table);
    for (const box of Dom.all(BOXES)) mark(box);
  }

  function start() {
    const later = Dom.perFrame(look);
    // A page changes its height or its width when its fonts, its window or what it shows change.
    new ResizeObserver(later).observe(Dom.find("main"));
    document.addEventListener("scroll", ({ target }) => { if (target.matches?.(BOXES)) mark(target); }, { capture: true, passive: true });
    State.on(["columns", "choice"], later);
  }

  return { start };
})();

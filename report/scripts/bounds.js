// The reader's limits as lines in the trade-off picture, where one of its axes shows what they bound.
const Bounds = (() => {
  const QUALITY = "min_quality_kept_percent";

  // The bound on an axis in the unit of its figures, or null.
  function of(axis, limits) {
    const bound = limits[axis.limit];
    if (!axis.limit || !Numbers.known(bound)) return null;
    if (axis.limit === QUALITY) {
      const reference = Data.byName.get(Data.comparison.ranking?.reference);
      return reference ? (bound / 100) * Data.figure(reference, axis.key).value : null;
    }
    return axis.inverse ? 1 / bound : bound * axis.size;
  }

  // Lines with their labels; one that would lie outside of the picture is left out.
  function lines({ x, y, across, up, frame }) {
    const limits = State.get("limits"), found = [];
    const right = of(x, limits), least = of(y, limits);
    const text = (at, anchor) => Dom.svg("text", { class: "bound-name", ...at, "text-anchor": anchor }, "your limit");
    const px = right === null ? null : across.at(right), py = least === null ? null : up.at(least);
    if (px !== null && px >= frame.left && px <= frame.right) {
      found.push(Dom.svg("line", { class: "bound", x1: px, x2: px, y1: frame.top, y2: frame.bottom }), text({ x: px - 4, y: frame.top + 10 }, "end"));
    }
    if (py !== null && py >= frame.top && py <= frame.bottom) {
      found.push(Dom.svg("line", { class: "bound", x1: frame.left, x2: frame.right, y1: py, y2: py }), text({ x: frame.right - 2, y: py + 13 }, "end"));
    }
    return found;
  }

  return { lines };
})();

// The reader's limits as lines in the trade-off picture, where one of its axes shows what they bound.
const Bounds = (() => {
  const ACROSS = { latency_p99_s: ["max_p99_latency_s", 1], peak_memory_bytes: ["max_peak_memory_gb", 1e9], price_per_1000: ["max_price_per_1000", 1] };

  // The bound on an axis in the unit of its figures, or null.
  function across(key, limits) {
    const [limit, size] = ACROSS[key] ?? [];
    return Numbers.known(limits[limit]) ? limits[limit] * size : null;
  }

  function up(key, limits) {
    const reference = Data.byName.get(Data.comparison.ranking?.reference);
    if (key !== "rougeL" || !reference || !Numbers.known(limits.min_quality_kept_percent)) return null;
    return (limits.min_quality_kept_percent / 100) * Data.figure(reference, "rougeL").value;
  }

  // Lines with their labels; one that would lie outside of the picture is left out.
  function lines({ x, y, across: placeX, up: placeY, frame }) {
    const limits = State.get("limits");
    const right = across(x.key, limits), least = up(y.key, limits), found = [];
    const text = (at, anchor) => Dom.svg("text", { class: "bound-name", ...at, "text-anchor": anchor }, "your limit");
    const px = right === null ? null : placeX.at(right), py = least === null ? null : placeY.at(least);
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

// Where the labels of the picture go: set one after the other, the most important first, each where it covers least.
const Labels = (() => {
  const HEIGHT = 15;
  const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const holds = (box, x, y) => box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;

  // The positions at one distance, the usual one, to the right, first.
  const RADII = [8, 11, 16, 23, 32, 44, 58, 75, 95, 120, 150];
  function ring(point, radius, width, height) {
    return Array.from({ length: 24 }, (_, step) => {
      const angle = 2 * Math.PI * (Math.ceil(step / 2) * (step % 2 ? -1 : 1)) / 24;
      const dx = Math.cos(angle), dy = Math.sin(angle);
      const x = point.px + radius * dx + (width / 2) * (Math.abs(dx) < 0.3 ? 0 : Math.sign(dx));
      const y = point.py + radius * dy + (height / 2) * Math.max(-1, Math.min(1, 2 * dy));
      const box = { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 };
      const anchor = radius > 11 ? [Math.min(Math.max(point.px, box.left), box.right), Math.min(Math.max(point.py, box.top), box.bottom)] : null;
      return { box, anchor };
    });
  }

  function cost({ box, anchor }, point, { points, bars, word, frame }, placed) {
    const roomy = { left: box.left - 3, right: box.right + 3, top: box.top - 1, bottom: box.bottom + 1 };
    let sum = 200 * (Math.max(frame.left - box.left, 0) + Math.max(box.right - frame.right, 0) + Math.max(frame.top - box.top, 0) + Math.max(box.bottom - frame.bottom, 0));
    for (const other of placed) {
      sum += 50 * overlap(roomy, other.box);
      for (const [x, y] of other.line) if (holds(roomy, x, y)) sum += 40;
    }
    for (const other of points) sum += 30 * overlap(roomy, other.box);
    for (const bar of bars) sum += 0.2 * overlap(box, bar);
    sum += 30 * overlap(roomy, word);
    for (const [x, y] of lineTo(point, anchor)) {
      for (const other of placed) if (holds(other.box, x, y)) sum += 40;
      for (const other of points) if (other !== point && holds(other.box, x, y)) sum += 25;
    }
    const nearX = Math.min(Math.max(point.px, box.left), box.right), nearY = Math.min(Math.max(point.py, box.top), box.bottom);
    return sum + Math.hypot(point.px - nearX, point.py - nearY);
  }

  const lineTo = (point, anchor) => (anchor ? [2, 3, 4, 5, 6, 7, 8].map((step) => [point.px + (step / 8) * (anchor[0] - point.px), point.py + (step / 8) * (anchor[1] - point.py)]) : []);

  // A place for each label in turn, given what else there is in the picture: {points, bars, word, frame}. Labels that
  // were placed before are in `placed`, and each new one joins them.
  function place(turn, scene, placed = []) {
    for (const point of turn) {
      let best = null, least = Infinity;
      for (const radius of RADII) {
        // Farther out nothing can cost less: the distance alone costs more.
        if (least < 0.7 * radius) break;
        for (const candidate of ring(point, radius, point.width, HEIGHT)) {
          const price = cost(candidate, point, scene, placed);
          if (price < least) { least = price; best = candidate; }
        }
      }
      best.line = lineTo(point, best.anchor);
      point.place = best;
      placed.push(best);
    }
    return placed;
  }

  // The most crowded first.
  function inTurn(points) {
    const near = (point) => points.filter((other) => Math.hypot(point.px - other.px, point.py - other.py) < 60).length;
    return [...points].sort((a, b) => near(b) - near(a));
  }

  const cut = (text, most) => { const line = text.replace(/\s+/g, " ").trim(); return line.length > most ? line.slice(0, most - 1).trimEnd() + "\u2026" : line; };

  return { place, inTurn, cut };
})();

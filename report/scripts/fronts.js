// Chances of being on a Pareto front, by the same arithmetic and draws as scripts/comparison/fronts.py.
const Fronts = (() => {
  const { above, firm, possible, falling, rising } = Data.comparison.fronts;
  const { ranking } = Ranking;
  const TIE = 1e-9;
  const known = new Map();

  // A value in every draw, as a logarithm where it has draws: moved as far as the gain of its criterion is.
  function drawn(name, value, criterion, sign, count) {
    const fixed = criterion && value > 0 ? Math.log(value) : value;
    // Of requests one by one samples a second are 1 / latency, and share its draws.
    const source = criterion === "throughput" && ranking?.one_by_one ? "latency" : criterion;
    const gain = source ? ranking?.log_gains[name]?.[source] : null;
    if (!Numbers.known(gain)) return new Float64Array(count).fill(fixed);
    const moves = Ranking.draws(name, source);
    // Where gains are in units of the reference process's, the value moves to where that puts it among the others.
    const measured = ranking.log_gains_as_measured[name][source];
    return Float64Array.from({ length: count }, (_, draw) => fixed + sign * ((moves ? moves[draw] : gain) - measured));
  }

  // The chance of each point {name, x, y}; less is better on x, and on y where it is low.
  function chances(points, x, y) {
    const key = `${x.key},${y.key},${points.map((point) => point.name)}`;
    if (!known.has(key)) known.set(key, counted(points, x, y));
    return known.get(key);
  }

  function counted(points, x, y) {
    const count = ranking?.draws || 1, sign = y.low ? -1 : 1, tested = above[y.key];
    const across = points.map((point) => drawn(point.name, point.x, falling[x.key], -1, count));
    const up = tested ? null : points.map((point) => drawn(point.name, point.y, rising[y.key], 1, count).map((value) => sign * value));
    const better = tested ? points.map((one) => points.map((other) => (tested[one.name] ?? []).includes(other.name))) : null;
    return new Map(points.map((point, i) => {
      let on = 0;
      for (let draw = 0; draw < count; draw++) {
        const beats = (_, j) => {
          if (i === j || across[j][draw] > across[i][draw] + TIE) return false;
          if (better ? better[i][j] : up[j][draw] < up[i][draw] - TIE) return false;
          return across[j][draw] < across[i][draw] - TIE || (better ? better[j][i] : up[j][draw] > up[i][draw] + TIE);
        };
        if (!points.some(beats)) on += 1;
      }
      return [point.name, on / count];
    }));
  }

  const place = (chance) => (chance >= firm ? "firm" : chance >= possible ? "possible" : "off");

  return { chances, place };
})();

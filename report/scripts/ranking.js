// Scores and chances under a reader's limits and weights, by the same arithmetic as scripts/comparison/scores.py.
const Ranking = (() => {
  const ranking = Data.comparison.ranking;
  const TIE = 1e-9; // log scores no further apart are equal
  const TAIL = 0.025;
  const CRITERIA = ["latency", "throughput", "capacity", "memory", "quality"];
  // Each limit with the value that it bounds, as the study has them.
  const bounds = new Map(Data.comparison.limits.map((limit) => [limit.key, limit]));
  const gpus = new Map(Data.comparison.gpus.map((gpu) => [gpu.name, gpu]));
  const names = ranking ? Data.ran.map((technique) => technique.name) : [];
  const moves = new Map();

  // The drawn gains of a technique by one criterion, or null where no chance is in it. Decoded once, when first asked for.
  function draws(name, criterion) {
    const key = `${criterion} ${name}`;
    if (!moves.has(key)) moves.set(key, unpacked(ranking.spread[name]?.[criterion]));
    return moves.get(key);
  }

  function unpacked(packed) {
    if (!packed) return null;
    const bytes = atob(packed.values);
    const found = new Float64Array(bytes.length / 2);
    for (let i = 0; i < found.length; i++) {
      found[i] = packed.low + packed.step * (bytes.charCodeAt(2 * i) + 256 * bytes.charCodeAt(2 * i + 1));
    }
    return found;
  }

  // The criteria that count with their shares of the score; what the study could not measure is left out.
  function shares(weights) {
    const of = (criteria) => {
      const weighing = criteria.filter((key) => weights[key] > 0);
      const total = weighing.reduce((sum, key) => sum + weights[key], 0);
      return weighing.map((key) => [key, weights[key] / total]);
    };
    // Requests under load that no technique served count all the same where they are asked for beyond the study's own weights.
    const asked = weights.capacity > 0 && !ranking.weights.capacity && !ranking.criteria.includes("capacity");
    const counted = of(asked ? [...ranking.criteria, "capacity"] : ranking.criteria);
    return counted.length ? counted : of(CRITERIA);
  }

  // The value of a technique that a limit bounds.
  function value(name, limit, limits) {
    const values = ranking.limit_values[name];
    if (limit === Price.LIMIT) return Price.of(name);
    if (limit === "min_quality_kept_percent" && limits.quality === "shown") return values.quality_kept_low_percent;
    return values[bounds.get(limit).value];
  }

  function meets(limit, found, bound) {
    if (!Numbers.known(found)) return false;
    if (limit === "fits_gpu") return found <= (gpus.get(bound)?.usable_bytes ?? 0);
    return bounds.get(limit).most ? found <= bound : found >= bound;
  }

  // What keeps a technique from qualifying: limits that it fails, then criteria that were not measured (bound null).
  function failures(name, limits, counted) {
    const failed = [...bounds.keys()]
      .filter((limit) => Numbers.known(limits[limit]) || limits[limit])
      .map((limit) => ({ limit, value: value(name, limit, limits), bound: limits[limit] }))
      .filter((entry) => !meets(entry.limit, entry.value, entry.bound));
    const absent = counted.filter(([key]) => !(key in ranking.log_gains[name])).map(([limit]) => ({ limit, value: null, bound: null }));
    return [...failed, ...absent];
  }

  const logScore = (name, counted) => counted.reduce((sum, [key, share]) => sum + share * ranking.log_gains[name][key], 0);

  function drawn(name, counted) {
    const total = new Float64Array(ranking.draws);
    for (const [key, share] of counted) {
      const own = draws(name, key);
      const fixed = share * ranking.log_gains[name][key];
      for (let i = 0; i < total.length; i++) total[i] += own ? share * own[i] : fixed;
    }
    return total;
  }

  // The share of draws in which each has the highest score; equal ones share a draw.
  function chances(table) {
    const wins = new Float64Array(table.length);
    for (let i = 0; i < ranking.draws; i++) {
      let best = -Infinity;
      for (const own of table) if (own[i] > best) best = own[i];
      let equal = 0;
      for (const own of table) if (own[i] >= best - TIE) equal += 1;
      for (let j = 0; j < table.length; j++) if (table[j][i] >= best - TIE) wins[j] += 1 / equal;
    }
    return wins.map((count) => count / ranking.draws);
  }

  function quantile(sorted, share) {
    const place = (sorted.length - 1) * share;
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }

  function ranked(qualifying, counted) {
    const scores = new Map(qualifying.map((name) => [name, logScore(name, counted)]));
    const order = [...qualifying].sort((a, b) => scores.get(b) - scores.get(a));
    const rows = order.map((name) => ({ name, score: Math.exp(scores.get(name)), low: null, high: null, chance_best: null }));
    if (!rows.length || !ranking.draws) return rows;
    const table = order.map((name) => drawn(name, counted));
    const best = chances(table);
    rows.forEach((row, index) => {
      const sorted = table[index].sort();
      Object.assign(row, { low: Math.exp(quantile(sorted, TAIL)), high: Math.exp(quantile(sorted, 1 - TAIL)), chance_best: best[index] });
    });
    return rows;
  }

  // Chooses: {ranked: best first, failed: Map of name to what it fails, winner}.
  function choose(limits, weights) {
    const counted = shares(weights);
    const failed = new Map();
    for (const name of names) {
      const found = failures(name, limits, counted);
      if (found.length) failed.set(name, found);
    }
    const rows = counted.length ? ranked(names.filter((name) => !failed.has(name)), counted) : [];
    return { ranked: rows, failed, winner: Data.comparison.no_winner.length ? null : rows[0]?.name ?? null };
  }

  // The one limit that would have to give least for a technique to qualify, or null where no single one is enough.
  function nearest(failed) {
    let found = null;
    for (const [name, entries] of failed) {
      const [{ limit, value: own, bound }] = entries;
      if (entries.length > 1 || bound === null || !Numbers.known(own)) continue;
      const needed = limit === "fits_gpu" ? smallest(own) : own;
      if (needed === null) continue;
      const against = limit === "fits_gpu" ? gpus.get(bound).usable_bytes : bound;
      const distance = own > 0 && against > 0 ? Math.abs(Math.log(own / against)) : Infinity;
      if (!found || distance < found.distance) found = { name, limit, bound, needed, distance };
    }
    return found;
  }

  const smallest = (bytes) => Data.comparison.gpus.find((gpu) => gpu.usable_bytes >= bytes)?.name ?? null;

  return { ranking, names, gpus, draws, value, choose, nearest };
})();

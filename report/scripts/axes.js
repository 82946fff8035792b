// The axes of the trade-off picture, as the page's own options have them: figures as values and as text, scales, ticks.
const Axes = (() => {
  const rules = Dom.find("#tradeoff-chart").dataset;
  const SCORE = "score";
  // From the coarsest to the finest, as in scripts/report/axes.py.
  const DIGITS = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 6, 8], Array.from({ length: 45 }, (_, step) => (step + 5) / 5)];

  const read = (select) => Dom.all(`${select} option`).map((option) => {
    const { low, inverse, log, size, ...text } = option.dataset;
    return { ...text, key: option.value, option, size: Number(size), low: low !== undefined, inverse: inverse !== undefined, log: log !== undefined };
  });
  const X = read("#tradeoff-x"), Y = read("#tradeoff-y");

  function figure(technique, axis) {
    if (axis.key === Price.KEY) return Price.figure(technique);
    if (axis.key !== "time_per_sample_s") return Data.figure(technique, axis.key);
    const { value, low, high, n } = Data.figure(technique, "throughput_samples_per_s");
    const inverse = (number) => (number ? 1 / number : null);
    return { value: inverse(value), low: inverse(high), high: inverse(low), n };
  }

  const known = (axis) => Data.ran.some((technique) => Numbers.known(figure(technique, axis).value));

  function scaleOf(axis) {
    const values = Data.ran.map((technique) => figure(technique, axis).value);
    if (axis.kind === SCORE) return { size: 1, unit: axis.unit, show: (value) => (Numbers.known(value) ? Numbers.fixed(value, 3) : Numbers.NOTHING) };
    const scale = Numbers.scale(values, axis.kind === "amount" ? "plain" : axis.kind);
    return { ...scale, unit: scale.unit || axis.unit };
  }

  const named = (axis, scale) => (scale.unit ? `${axis.name} in ${scale.unit}` : axis.name);

  function shown(technique, axis, scale = scaleOf(axis)) {
    const { value, low, high } = figure(technique, axis);
    if (!Numbers.known(value)) return [Numbers.NOTHING, ""];
    const between = Numbers.known(low) && Numbers.known(high) ? `${scale.show(low)}${Numbers.DASH}${scale.show(high)}` : Numbers.known(low) ? `at least ${scale.show(low)}` : "";
    return [scale.unit ? `${scale.show(value)} ${scale.unit}` : scale.show(value), between];
  }

  function ticks(low, high, logarithmic, most) {
    if (logarithmic) return logTicks(low, high, most);
    const rough = (high - low) / most, size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((times) => times * size >= rough) * size;
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) found.push(tick);
    return found;
  }

  // The finest digits of which there are no more ticks than wanted.
  function logTicks(low, high, most) {
    let best = null, found = [];
    for (const digits of DIGITS) {
      found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
        for (const digit of digits) found.push(digit * 10 ** power);
      }
      found = found.filter((tick) => tick >= low && tick <= high);
      if (found.length > most) break;
      best = found;
    }
    return best ?? found;
  }

  // Whether the range of the values asks for a logarithmic scale, by the rule of scripts/report/axes.py.
  function isLogarithmic(axis, values) {
    const sorted = [...values].sort((a, b) => a - b), low = sorted[0], high = sorted.at(-1), half = (sorted.length - 1) / 2;
    if (!axis.log || !(low > 0)) return false;
    const median = (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
    const crowded = median - low < Number(rules.crowded) * (high - low);
    return high / low > Number(crowded ? rules.crowdedFrom : rules.logFrom);
  }

  // Positions of values between two pixels, with room around them for labels.
  function position(axis, figures, from, to, { reversed = false, before = 0.07, after = 0.1 } = {}) {
    const ends = figures.flatMap(({ value, low, high }) => [value, low, high]).filter(Numbers.known);
    const low = Math.min(...ends), high = Math.max(...ends);
    const logarithmic = low > 0 && isLogarithmic(axis, figures.map(({ value }) => value));
    const into = logarithmic ? Math.log : (value) => value;
    const room = into(high) - into(low) || Math.abs(high) || 1;
    let start = into(low) - before * room, stop = into(high) + after * room;
    if (!logarithmic && low >= 0) start = Math.max(start, 0);
    const back = logarithmic ? Math.exp : (value) => value;
    const at = (value) => { const share = (into(value) - start) / (stop - start); return from + (reversed ? 1 - share : share) * (to - from); };
    return { at, low: back(start), high: back(stop), logarithmic };
  }

  return { X, Y, figure, known, scaleOf, named, shown, ticks, position };
})();

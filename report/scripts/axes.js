// What can stand on the axes of the trade-off picture: figures as values and as text, ticks, and places in pixels.
const Axes = (() => {
  const X = [
    { key: "latency_s", name: "Mean latency", kind: "time", change: "latency_change_percent" },
    { key: "latency_p99_s", name: Data.tail, kind: "time" },
    { key: "time_per_sample_s", name: "Time per sample", note: "1 / throughput", kind: "time" },
    { key: "peak_memory_bytes", name: "Peak memory", kind: "bytes", change: "peak_memory_change_percent" },
    { key: "price_per_1000", name: "Price of 1,000" },
    { key: "energy_per_sample_j", name: "Energy a headline" },
  ];
  const Y = [
    { key: "rougeL", name: "ROUGE-L", change: "quality_kept_percent_rougeL" },
    { key: "rouge1", name: "ROUGE-1", change: "quality_kept_percent_rouge1" },
    { key: "rouge2", name: "ROUGE-2", change: "quality_kept_percent_rouge2" },
    { key: "reference_nll_per_token", name: "Reference NLL", low: true, change: "reference_nll_change" },
    { key: "throughput_samples_per_s", name: "Throughput", unit: "samples/s", change: "throughput_change_percent" },
  ];
  const LOG_FROM = 6;
  const MISSING = { value: null, low: null, high: null, n: 0 };

  function figure(technique, axis) {
    if (axis.key === "price_per_1000") return technique.price_per_1000 ?? MISSING;
    if (axis.key !== "time_per_sample_s") return Data.figure(technique, axis.key);
    const { value, low, high, n } = Data.figure(technique, "throughput_samples_per_s");
    const inverse = (number) => (number ? 1 / number : null);
    return { value: inverse(value), low: inverse(high), high: inverse(low), n };
  }

  const known = (axis) => Data.ran.some((technique) => Numbers.known(figure(technique, axis).value));
  const unit = (axis) => axis.unit ?? (axis.key === "price_per_1000" || axis.key === "energy_per_sample_j" || axis.low ? figure(Data.ran.find((t) => Numbers.known(figure(t, axis).value)), axis).unit : "");
  const scaleOf = (axis) => Numbers.scale(Data.ran.map((technique) => figure(technique, axis).value), axis.kind);
  const named = (axis, scale) => { const shown = scale.unit || unit(axis); return shown ? `${axis.name} in ${shown}` : axis.name; };

  function shown(technique, axis, scale = scaleOf(axis)) {
    const { value, low, high } = figure(technique, axis);
    const decimals = axis.key.startsWith("rouge") || axis.low ? 3 : null;
    const text = (number) => (decimals === null ? scale.show(number) : Numbers.fixed(number, decimals));
    const unitText = scale.unit || unit(axis);
    if (!Numbers.known(value)) return [Numbers.NOTHING, ""];
    const between = Numbers.known(low) && Numbers.known(high) ? `${text(low)}${Numbers.DASH}${text(high)}` : Numbers.known(low) ? `\u2265 ${text(low)}` : "";
    return [unitText ? `${text(value)} ${unitText}` : text(value), between];
  }

  function ticks(low, high, logarithmic, most) {
    if (logarithmic) {
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
        for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
      }
      return found.filter((tick) => tick >= low && tick <= high);
    }
    const rough = (high - low) / most, size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((times) => times * size >= rough) * size;
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) found.push(tick);
    return found;
  }

  // Positions of values between two pixels, with room around them for labels.
  function position(figures, from, to, { reversed = false, mayBeLog = false, before = 0.07, after = 0.1 } = {}) {
    const ends = figures.flatMap(({ value, low, high }) => [value, low, high]).filter(Numbers.known);
    let low = Math.min(...ends), high = Math.max(...ends);
    const logarithmic = mayBeLog && low > 0 && high / low >= LOG_FROM;
    const into = logarithmic ? Math.log : (value) => value;
    const room = into(high) - into(low) || Math.abs(high) || 1;
    let start = into(low) - before * room, stop = into(high) + after * room;
    if (!logarithmic && low >= 0) start = Math.max(start, 0);
    const back = logarithmic ? Math.exp : (value) => value;
    const at = (value) => { const share = (into(value) - start) / (stop - start); return from + (reversed ? 1 - share : share) * (to - from); };
    return { at, low: back(start), high: back(stop), logarithmic };
  }

  return { X, Y, figure, known, unit, scaleOf, named, shown, ticks, position };
})();

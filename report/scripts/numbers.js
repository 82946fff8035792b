// Numbers as the tables show them: a true minus sign, thousands separators, units that fit.
const Numbers = (() => {
  const MINUS = "\u2212", NOTHING = "\u2014", TIMES = "\u00d7", DASH = "\u2013";
  const UNITS = {
    time: [[1, "s"], [1e-3, "ms"], [1e-6, "\u00b5s"]],
    bytes: [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]],
    percent: [[1, "%"]],
    plain: [[1, ""]],
  };

  // Making a formatter is slow, using it is not.
  const formatters = new Map();
  function formatter(decimals) {
    if (!formatters.has(decimals)) {
      formatters.set(decimals, new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
    }
    return formatters.get(decimals);
  }

  function fixed(value, decimals) {
    const text = formatter(decimals).format(Math.abs(value));
    return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
  }

  const decimalsFor = (value, digits = 3) =>
    value === 0 ? 0 : Math.min(Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(value))), 0), 4);

  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

  // One unit for a whole axis or column: that of its median.
  function scale(values, kind = "plain") {
    const sorted = values.filter((value) => known(value) && value !== 0).map(Math.abs).sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 1;
    const [size, unit] = UNITS[kind].find(([least]) => median >= least) ?? UNITS[kind].at(-1);
    // Three digits for the smallest value too, as long as that gives at most one digit more to the others.
    const usual = decimalsFor(median / size), decimals = Math.min(Math.max(usual, decimalsFor((sorted[0] ?? 1) / size)), usual + 1);
    return { size, unit, show: (value) => (known(value) ? fixed(value / size, decimals) : NOTHING) };
  }

  // One value with a unit of its own, with three digits.
  function show(value, kind = "plain") {
    if (!known(value)) return NOTHING;
    const magnitude = Math.abs(value);
    const [size, unit] = UNITS[kind].find(([least]) => magnitude >= least) ?? UNITS[kind].at(-1);
    const text = fixed(value / size, decimalsFor(value / size));
    return unit === "%" ? `${text}%` : unit ? `${text} ${unit}` : text;
  }

  // A chance from a limited number of draws: never as certain as 0% or 100%.
  function chance(value) {
    if (value === null) return "not known";
    if (value >= 0.995) return "over 99%";
    return value < 0.005 ? "under 1%" : `${fixed(100 * value, 0)}%`;
  }

  return { MINUS, NOTHING, TIMES, DASH, fixed, decimalsFor, known, scale, show, chance };
})();

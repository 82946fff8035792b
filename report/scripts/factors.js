// Changes in the report's one form, by the rules of scripts/report/factors.py.
const Factors = (() => {
  const isFactor = (form) => form === "speed" || form === "times";

  // A change as a factor: of a time, how many times as fast it became. Other changes stay as they are.
  function of(figure, form) {
    if (!figure || !Numbers.known(figure.value) || !isFactor(form)) return figure;
    const [value, low, high] = [figure.ratio ?? 1 + figure.value / 100, figure.ratio_low, figure.ratio_high];
    const turned = (end) => (end ? 1 / end : null);
    return form === "speed" ? { ...figure, value: turned(value), low: turned(high), high: turned(low) } : { ...figure, value, low: low ?? null, high: high ?? null };
  }

  // [text, interval]: "2.37×" and "2.30–2.44", or "98.2%" and "97.0–99.3%".
  function texts(figure, form) {
    const { value, low, high } = of(figure, form);
    const decimals = isFactor(form) ? (value > 0 ? Math.min(Numbers.decimalsFor(value), value >= 0.1 ? 2 : 3) : 2) : 1;
    const sign = isFactor(form) ? "" : "%";
    const between = Numbers.known(low) && Numbers.known(high) && low !== high ? `${Numbers.fixed(low, decimals)}${Numbers.DASH}${Numbers.fixed(high, decimals)}${sign}` : "";
    return [`${Numbers.fixed(value, decimals)}${sign || Numbers.TIMES}`, between];
  }

  return { of, texts };
})();

// The reader's limits and weights: a form whose sliders and fields show one value, kept in the address.
const Limits = (() => {
  const { ranking } = Ranking;
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const fields = new Map();
  const weightFields = new Map();
  let order = [];

  // A number with up to four digits and no zeros that say nothing.
  function plain(value) {
    const text = Numbers.fixed(value, value ? Numbers.decimalsFor(value, 4) : 0);
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }

  const typed = (value) => plain(value).replaceAll(",", "").replace(Numbers.MINUS, "-");
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  // Rounds a technique's value to so many digits that it still meets a limit set at it.
  function outward(value, most, digits = 4) {
    const power = 10 ** Math.min(Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(value) || 1)), 0), 6);
    const steps = Number((value * power).toPrecision(12));
    return (most ? Math.ceil(steps) : Math.floor(steps)) / power;
  }

  // A limit's value with its unit, as the scenarios have it.
  function show(key, value) {
    const field = fields.get(key);
    if (!field || typeof value === "string") return key === "fits_gpu" && typeof value === "number" ? `${Numbers.fixed(value / 1e9, 2)} GB` : String(value);
    const text = plain(value / field.size);
    return field.unit ? `${text}${field.unit === "%" ? "" : " "}${field.unit}` : text;
  }

  const title = (key) => fields.get(key)?.title ?? key;
  const most = (key) => fields.get(key)?.most ?? true;

  // A bound that a technique's value meets, with few digits.
  const relaxed = (key, needed) => {
    const field = fields.get(key);
    return field && !field.whole ? own(outward(needed / field.size, field.most, 3), field.size) : needed;
  };

  // A number of units in the limit's own unit; dividing keeps 56.4 ms the very number that 0.0564 is.
  const own = (value, size) => (size < 1 ? value / Math.round(1 / size) : value * size);

  // In one order and without what is not set, so that equal limits are equal text.
  function tidy(limits) {
    const found = {};
    for (const key of [...order, "fits_gpu", "quality"]) {
      const value = limits[key];
      if (value === null || value === undefined || value === "" || (key === "quality" && value !== "shown")) continue;
      found[key] = value;
    }
    return found;
  }

  const set = (patch) => State.set({ limits: tidy({ ...State.get("limits"), ...patch }) });
  const write = (values) => Object.entries(values).map(([key, value]) => `${key}!${value}`).join("~");

  function pairs(text) {
    return text.split("~").map((part) => [part.slice(0, part.indexOf("!")), part.slice(part.indexOf("!") + 1)]);
  }

  function readLimits(text) {
    const found = {};
    for (const [key, value] of pairs(text)) {
      if (key === "fits_gpu") { if (Ranking.gpus.has(value)) found[key] = value; }
      else if (key === "quality") { if (value === "shown") found[key] = value; }
      else if (fields.has(key) && !fields.get(key).wrong(value, 1)) found[key] = Number(value);
    }
    return tidy(found);
  }

  function readWeights(text) {
    const found = { ...ranking.weights };
    for (const [key, value] of pairs(text)) if (key in found && NUMBER.test(value) && Number(value) >= 0) found[key] = Number(value);
    return ranking.criteria.some((key) => found[key] > 0) ? found : undefined;
  }

  // Binds a slider and a field to one value. `told` says what is wrong with a typed text, or nothing.
  function bind(entry, told, typedIn, slid) {
    const slider = Dom.find('input[type="range"]', entry), input = Dom.find('input[type="text"]', entry), problem = Dom.find(".problem", entry);
    const say = (text) => {
      problem.textContent = text;
      problem.hidden = !text;
      if (text) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    };
    input.addEventListener("input", () => {
      const text = input.value.trim();
      const wrong = told(text);
      say(wrong);
      if (!wrong) typedIn(text);
    });
    const later = Dom.perFrame(() => slid(Number(slider.value)));
    slider.addEventListener("input", () => { say(""); later(); });
    let last;
    // Shows a value, unless the field says it already or holds a text that could not be read and nothing changed since.
    function put(value, text, place, spoken) {
      slider.value = String(place);
      slider.setAttribute("aria-valuetext", spoken);
      const kept = !problem.hidden && value === last;
      last = value;
      if (kept || (input === document.activeElement && says(input.value.trim(), text))) return;
      input.value = text;
      say("");
    }
    return { slider, input, say, put, clear: () => { last = undefined; say(""); } };
  }

  // Whether a typed text stands for the same number as another.
  const says = (text, other) => (text === "" || other === "" ? text === other : NUMBER.test(text) && typed(Number(text)) === other);

  function limitField(entry) {
    const key = entry.dataset.limit, size = Number(entry.dataset.size), unit = entry.dataset.unit;
    const whole = "whole" in entry.dataset, upper = entry.dataset.bound === "most";
    // One step for each value of a technique, from the strictest to no limit at all.
    const steps = () => {
      const known = Ranking.names.map((name) => Ranking.value(name, key, State.get("limits"))).filter(Numbers.known);
      return [...new Set(known.map((value) => (whole ? value : own(outward(value / size, upper, 3), size))))].sort((a, b) => a - b);
    };
    const places = () => (upper ? [...steps(), null] : [null, ...steps()]);
    const wrong = (text, unitSize = size) => {
      if (text === "") return "";
      const value = own(Number(text), unitSize);
      const fits = NUMBER.test(text) && Number.isFinite(value) && value > 0 && (!whole || Number.isInteger(value));
      if (fits) return "";
      const usual = steps();
      const example = usual.length ? typed(usual[Math.floor(usual.length / 2)] / size) : "1";
      const now = State.get("limits")[key];
      return `Write a ${whole ? "whole " : ""}number above 0, such as ${example}, or nothing. Until then: ${now === undefined ? "no limit" : show(key, now)}.`;
    };
    const bound = bind(entry, wrong, (text) => set({ [key]: text === "" ? null : own(Number(text), size) }), (place) => {
      set({ [key]: places()[place] });
    });
    function refresh() {
      const value = State.get("limits")[key] ?? null;
      // Without a price there is no cost to limit; a limit that a link brought can still be taken away.
      const idle = key === Price.LIMIT && !Price.isSet();
      bound.slider.disabled = bound.input.disabled = idle && value === null;
      bound.input.placeholder = idle ? "set a price" : "no limit";
      const stops = places();
      const place = value === null ? stops.indexOf(null) : nearestPlace(stops, value, upper);
      bound.slider.max = String(stops.length - 1);
      entry.classList.toggle("set", value !== null);
      bound.put(value, value === null ? "" : typed(value / size), place, value === null ? "no limit" : show(key, value));
    }
    return { key, size, unit, whole, most: upper, title: entry.dataset.title, wrong, refresh, clear: bound.clear };
  }

  function nearestPlace(places, value, upper) {
    const meeting = places.map((step, index) => [step, index]).filter(([step]) => step !== null && (upper ? step <= value * (1 + 1e-9) : step >= value * (1 - 1e-9)));
    if (!meeting.length) return upper ? 0 : places.length - 1;
    return upper ? meeting.at(-1)[1] : meeting[0][1];
  }

  function weightField(entry) {
    const key = entry.dataset.weight;
    if (!ranking.criteria.includes(key)) return { key, refresh: () => {}, clear: () => {} };
    const wrong = (text) => {
      if (!NUMBER.test(text) || !Number.isFinite(Number(text)) || Number(text) < 0) return `Write a number of 0 or more, such as 1. Until then: ${plain(State.get("weights")[key])}.`;
      const others = ranking.criteria.filter((other) => other !== key).some((other) => State.get("weights")[other] > 0);
      return Number(text) === 0 && !others ? `One weight at least must be above 0. Until then: ${plain(State.get("weights")[key])}.` : "";
    };
    const put = (text) => State.set({ weights: { ...State.get("weights"), [key]: Number(text) } });
    const bound = bind(entry, wrong, put, (value) => {
      const problem = wrong(String(value));
      if (!problem) return put(String(value));
      refresh();
      bound.say(problem);
    });
    function refresh() {
      const value = State.get("weights")[key];
      bound.put(value, typed(value), value, plain(value));
    }
    return { key, refresh, clear: bound.clear };
  }

  // Puts limits and weights in place of what is set, and of texts that could not be read.
  function use(limits, weights) {
    for (const field of everyField()) field.clear();
    State.set({ limits: tidy(limits), weights: { ...ranking.weights, ...weights } });
    refresh();
  }

  function reset() {
    Price.reset();
    use({}, ranking.weights);
  }
  const everyField = () => [...fields.values(), ...weightFields.values()];

  function refresh() {
    for (const field of everyField()) field.refresh();
    const { fits_gpu: gpu, quality } = State.get("limits");
    Dom.find("#limit-fits_gpu").value = gpu ?? "";
    Dom.find("#limit-quality").checked = quality === "shown";
  }

  function start() {
    const form = Dom.find("#limits");
    if (!form) {
      State.field("limits", { initial: {} });
      State.field("weights", { initial: {} });
      return;
    }
    for (const entry of Dom.all("[data-limit]", form)) fields.set(entry.dataset.limit, limitField(entry));
    order = [...fields.keys()];
    for (const entry of Dom.all("[data-weight]", form)) weightFields.set(entry.dataset.weight, weightField(entry));
    State.field("limits", { initial: {}, write, read: readLimits });
    State.field("weights", { initial: ranking.weights, write, read: readWeights });
    Dom.find("#limit-fits_gpu").addEventListener("change", (event) => set({ fits_gpu: event.target.value }));
    Dom.find("#limit-quality").addEventListener("change", (event) => set({ quality: event.target.checked ? "shown" : null }));
    Dom.find("#limits-reset").addEventListener("click", reset);
    form.addEventListener("submit", (event) => event.preventDefault());
    State.on(["limits", "weights", "price"], refresh);
    refresh();
  }

  return { start, use, reset, show, title, most, relaxed, capital };
})();

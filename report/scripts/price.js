// The price of a device hour, the study's or one that the reader types, and what a million headlines cost at it.
const Price = (() => {
  const { per_device_hour: studys, currency } = Data.comparison.price;
  const KEY = "cost_per_million", LIMIT = "max_cost_per_million", NONE = "none";
  const NUMBER = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const MOST = 1e6;
  let show = () => {};

  const perHour = () => State.get("price");
  const isSet = () => perHour() !== null;

  // Cost of a technique as a figure: value and interval follow the device hours that a million headlines take.
  function figure(technique) {
    const hours = technique.device_hours_per_million;
    if (!isSet() || !Numbers.known(hours?.value)) return { value: null, low: null, high: null, n: 0, unit: currency, note: "no price of a device hour is set" };
    const [value, low, high] = [hours.value, hours.low, hours.high].map((end) => (Numbers.known(end) ? perHour() * end : null));
    return { ...hours, value, low, high, unit: currency };
  }

  const of = (name) => figure(Data.byName.get(name)).value;
  const told = (name) => (isSet() && Numbers.known(of(name)) ? `${Numbers.show(of(name))} ${currency} per million headlines` : "");

  function read(text) {
    if (text === NONE) return null;
    return NUMBER.test(text) && Number(text) > 0 && Number(text) <= MOST ? Number(text) : undefined;
  }

  function start() {
    State.field("price", { initial: studys, write: (value) => (value === null ? NONE : String(value)), read });
    const input = Dom.find("#price"), problem = Dom.find("#price-problem");
    if (!input) return;
    const say = (text) => {
      problem.textContent = text;
      problem.hidden = !text;
      if (text) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    };
    input.addEventListener("input", () => {
      const text = input.value.trim(), value = text === "" ? null : read(text);
      say(value === undefined || text === NONE ? `Write a number above 0, such as 2.5, or nothing. Until then: ${isSet() ? `${perHour()} ${currency}` : "no price"}.` : "");
      if (value !== undefined && text !== NONE) State.set({ price: value });
    });
    show = () => {
      input.value = isSet() ? String(perHour()) : "";
      say("");
    };
    // What is being typed stays as it is typed.
    State.on(["price"], () => { if (input !== document.activeElement || (read(input.value.trim()) ?? null) !== perHour()) show(); });
    show();
  }

  // Back to the study's own price, also from a text that could not be read.
  function reset() {
    State.set({ price: studys });
    show();
  }

  return { KEY, LIMIT, isSet, figure, of, told, start, reset };
})();

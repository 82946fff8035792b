// The numbers of the study, as comparison.json holds them; read once.
const Data = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const comparison = read("numbers");
  const techniques = comparison.techniques;
  const byName = new Map(techniques.map((technique) => [technique.name, technique]));
  const label = (name) => byName.get(name)?.label ?? name;
  const ran = techniques.filter((technique) => technique.status === "ok");
  const figure = (technique, key) => technique.figures[key] ?? { value: null, low: null, high: null, n: 0, note: "not recorded" };
  // What the end of the latencies is called, as everywhere in the report: P99 where there are prompts enough for one.
  const tail = Dom.find('#results th[data-key="latency_p99_s"]')?.dataset.name ?? "P99 latency";
  return { comparison, techniques, byName, label, ran, figure, tail, table: () => read("table") };
})();

// The numbers of the study, as comparison.json holds them; read once.
const Data = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const comparison = read("numbers");
  const techniques = comparison.techniques;
  const byName = new Map(techniques.map((technique) => [technique.name, technique]));
  const label = (name) => byName.get(name)?.label ?? name;
  const ran = techniques.filter((technique) => technique.status === "ok");
  const figure = (technique, key) => technique.figures[key] ?? { value: null, low: null, high: null, n: 0, note: "not recorded" };
  return { comparison, techniques, byName, label, ran, figure, table: () => read("table") };
})();

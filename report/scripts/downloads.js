// The numbers that the page carries, as files.
const Downloads = (() => {
  // The text of the element as it stands: every number keeps the digits that it was written with.
  const FILES = {
    json: { name: "comparison.json", type: "application/json", text: () => document.getElementById("numbers").textContent },
    study: { name: "study.json", type: "application/json", text: () => `${JSON.stringify(Data.comparison.configuration, null, 2)}\n` },
    csv: { name: "comparison.csv", type: "text/csv;charset=utf-8", text: () => Data.table() },
  };

  function save({ name, type, text }) {
    const address = URL.createObjectURL(new Blob([text()], { type }));
    const link = Dom.el("a", { href: address, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    // The browser reads the address after this call.
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    Dom.announce(`${name} is being saved.`);
  }

  function start() {
    Dom.find("#reproduce")?.addEventListener("click", ({ target }) => {
      const file = FILES[target.closest("[data-download]")?.dataset.download];
      if (file) save(file);
    });
  }

  return { start };
})();

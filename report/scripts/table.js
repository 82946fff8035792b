// The results table: which columns and rows are shown, in which order, and copies of what is shown.
const Table = (() => {
  const ROWS = "tr[data-technique]";
  let table, body, columns, rows;

  const choice = () => State.get("choice");
  const chosen = () => new Set(State.get("columns"));
  const shown = () => columns.filter((column) => chosen().has(column.key));

  // Where a column's figure stands in the numbers; null where a technique has none.
  function figure(technique, { key, kind, form }) {
    if (kind === "since") return technique.since_previous?.[key] ?? null;
    if (kind === "change") return Factors.of(technique.changes.baseline.figures?.[key] ?? null, form);
    if (key === Price.KEY) return Price.figure(technique);
    if (key === "same_headlines") return technique.matches.same_headlines ?? null;
    return technique.figures[key] ?? technique[key] ?? null;
  }

  function read() {
    table = Dom.find("#results table.results");
    body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    rows = Dom.all(ROWS, body).map((element, place) => {
      const name = element.dataset.technique;
      const technique = Data.byName.get(name);
      const texts = [technique.label, name, ...(technique.facets ?? []), JSON.stringify(technique.settings ?? {}), technique.status, Dom.find(".under", element)?.textContent, technique.reason];
      return { element, place, name, technique, ran: technique.status === "ok", text: texts.join(" ").toLowerCase() };
    });
    columns = heads.slice(1).map((head, index) => ({
      ...head.dataset, head, index: index + 1, main: !head.classList.contains("extra"), study: "study" in head.dataset,
      cells: [head, ...rows.filter((row) => row.ran).map((row) => row.element.cells[index + 1])],
    }));
    for (const head of heads) {
      head.replaceChildren(Dom.el("button", { type: "button", class: "sort" }, ...head.childNodes));
      head.firstChild.addEventListener("click", () => turn(head.dataset.key));
    }
  }

  // ---- order

  const descendsFirst = (key) => columns.find((column) => column.key === key)?.better === "high";

  // The best first, then the worst first, then the study's order again.
  function turn(key) {
    const first = descendsFirst(key) ? `-${key}` : key, second = descendsFirst(key) ? key : `-${key}`;
    const now = State.get("sort");
    State.set({ sort: now === first ? second : now === second ? "" : first });
  }

  function valueOf(row, column) {
    if (!column) return row.technique.label;
    const given = row.ran ? row.element.cells[column.index].dataset.value : undefined;
    return given === undefined ? null : column.kind === "word" ? given : Number(given);
  }

  function order() {
    const sort = State.get("sort"), key = sort.replace(/^-/, ""), sign = sort.startsWith("-") ? -1 : 1;
    const column = columns.find((one) => one.key === key);
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    const values = new Map(rows.map((row) => [row, sort ? valueOf(row, column) : null]));
    const sorted = [...rows].sort((a, b) => {
      if (sort && a.ran !== b.ran) return a.ran ? -1 : 1;
      const left = values.get(a), right = values.get(b);
      if (left === null || right === null) return (left === null) - (right === null) || a.place - b.place;
      return sign * compare(left, right) || a.place - b.place;
    });
    body.append(...sorted.map((row) => row.element));
    for (const head of table.tHead.rows[0].cells) {
      const active = sort && head.dataset.key === key;
      if (active) head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  function tellOrder() {
    const head = Dom.find("th[aria-sort]", table);
    Dom.announce(head ? `Sorted by ${head.dataset.name}, ${head.getAttribute("aria-sort")}.` : "In the study's order.");
  }

  // ---- rows

  const TESTS = {
    front: (row) => Tradeoff.front().has(row.name),
    limits: (row) => row.ran && !(row.name in choice().failing),
    // The baseline is what quality is held against.
    quality: (row) => row.ran && (row.technique.quality_kept?.verdict === "kept" || row.name === Data.comparison.baseline.name),
  };

  function filter() {
    const words = State.get("find").toLowerCase().split(/\s+/).filter(Boolean);
    const only = State.get("only");
    let count = 0;
    for (const row of rows) {
      row.element.hidden = !(words.every((word) => row.text.includes(word)) && only.every((name) => TESTS[name](row)));
      if (!row.element.hidden) count += 1;
    }
    const text = `${count} of ${rows.length} shown`;
    const place = Dom.find("#results-count");
    if (place.textContent && place.textContent !== text) Dom.announce(`${count} of ${rows.length} techniques shown.`);
    place.textContent = text;
    const field = Dom.find("#results-find");
    if (field.value !== State.get("find")) field.value = State.get("find");
    for (const button of Dom.all("#results [data-only]")) button.setAttribute("aria-pressed", only.includes(button.dataset.only));
  }

  // ---- columns

  const preset = (name) => columns.filter((column) => name === "all" || column[name]).map((column) => column.key);
  const equal = (a, b) => a.length === b.length && a.every((key) => b.includes(key));

  function showColumns() {
    const keys = chosen();
    for (const { key, cells } of columns) for (const cell of cells) cell.classList.toggle("off", !keys.has(key));
    spanReasons(Math.max(keys.size, 1));
    for (const box of Dom.all("#results-columns input")) box.checked = keys.has(box.value);
    for (const button of Dom.all("#results [data-preset]")) button.setAttribute("aria-pressed", equal(preset(button.dataset.preset), [...keys]));
    Dom.find("#results-columns-count").textContent = `${keys.size} of ${columns.length}`;
  }

  // ---- the cost, which follows the reader's price

  function cost() {
    const column = columns.find(({ key }) => key === Price.KEY), before = preset("main");
    const ran = rows.filter((row) => row.ran), found = ran.map((row) => Price.figure(row.technique));
    const scale = Numbers.scale(found.map(({ value }) => value)), least = Math.min(...found.map(({ value }) => value ?? Infinity));
    ran.forEach((row, index) => {
      const cell = row.element.cells[column.index], { value, low, high, n, interval, note } = found[index];
      const between = Numbers.known(low) && Numbers.known(high) ? `${scale.show(low)}${Numbers.DASH}${scale.show(high)}` : "";
      cell.replaceChildren(Dom.el("span", { class: "value" }, scale.show(value)), between ? " " : "", between ? Dom.el("span", { class: "interval" }, between) : "");
      cell.title = Numbers.known(value) ? [`n = ${n}`, interval].filter(Boolean).join(", ") : note;
      cell.classList.toggle("best", value === least && found.some((one) => Numbers.known(one.value) && one.value !== least));
      if (Numbers.known(value)) cell.dataset.value = value; else delete cell.dataset.value;
    });
    column.main = Price.isSet();
    for (const cell of column.cells) cell.classList.toggle("extra", !column.main);
    // Beside the first columns the cost comes and goes with the price; a reader's own choice of columns stays.
    const keys = State.get("columns");
    if (equal(keys, before)) State.set({ columns: preset("main") });
    else if (!column.main && keys.includes(Price.KEY)) State.set({ columns: keys.filter((key) => key !== Price.KEY) });
    showColumns();
    if (State.get("sort").endsWith(Price.KEY)) order();
  }

  function spanReasons(count) {
    for (const cell of Dom.all("td.reason", body)) cell.colSpan = count;
  }

  function readColumns(text) {
    if (["main", "study", "all"].includes(text)) return preset(text);
    const wanted = text.split(",");
    const known = columns.map((column) => column.key).filter((key) => wanted.includes(key));
    return known.length ? known : undefined;
  }

  const writeColumns = (keys) => ["main", "study", "all"].find((name) => equal(preset(name), keys)) ?? keys.join(",");

  // ---- what the reader's limits and weights do

  function judge() {
    const { failing, winner } = choice();
    for (const { element, name, ran } of rows) {
      const reasons = ran ? (failing[name] ?? []) : [];
      element.classList.toggle("out", reasons.length > 0);
      element.classList.toggle("chosen", name === winner);
      Dom.find(".fails", element)?.remove();
      Dom.find(".first-choice", element)?.remove();
      const head = element.cells[0];
      if (reasons.length) head.append(" ", Dom.el("span", { class: "fails" }, Dom.el("b", {}, "left out: "), reasons.join(" ")));
      if (name === winner) head.append(" ", Dom.el("span", { class: "chip first-choice" }, "highest score"));
    }
    if (State.get("only").length) filter();
  }

  // ---- a technique that is pointed at or picked, in every table

  function mark(kind, name) {
    for (const row of Dom.all(`tr.${kind}`)) row.classList.remove(kind);
    if (name) for (const row of Dom.all(`tr[data-technique="${CSS.escape(name)}"]`)) row.classList.add(kind);
  }

  function follow(section) {
    const name = (event) => event.target.closest(ROWS)?.dataset.technique ?? null;
    section.addEventListener("mouseover", (event) => State.set({ highlight: name(event) }));
    section.addEventListener("mouseleave", () => State.set({ highlight: null }));
    section.addEventListener("focusin", (event) => State.set({ highlight: name(event) }));
    section.addEventListener("focusout", () => State.set({ highlight: null }));
    section.addEventListener("click", (event) => {
      const row = event.target.closest("tbody " + ROWS);
      if (!row || event.target.closest("a, button, input, summary, label") || !getSelection().isCollapsed) return;
      State.pick(row.dataset.technique);
    });
  }

  // ---- copies

  // A spreadsheet would take such text for a formula; it skips leading blanks before it looks.
  const inert = (text) => (/^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const plain = (text) => text.replace(/\s+/g, " ").trim();
  const escaped = (text) => plain(text).replace(/[\\|`<>[\]*_~&$]/g, "\\$&");
  const titled = (name, unit) => (unit ? `${name} (${unit})` : name);

  // The rows that are shown, as they stand in the table; with the columns that are shown, intervals and verdicts apart.
  function csv(visible) {
    const heads = ["Technique", "Label", "Status"];
    const lines = visible.map((row) => [row.name, row.technique.label, row.technique.status]);
    for (const column of shown()) {
      const cells = visible.map((row) => (row.ran ? row.element.cells[column.index] : null));
      if (column.kind === "word") {
        add(column.name, cells.map((cell) => cell?.dataset.value ?? ""));
        continue;
      }
      const found = visible.map((row) => (row.ran ? figure(row.technique, column) : null));
      for (const [ending, key] of [["", "value"], [" low", "low"], [" high", "high"]]) {
        const values = found.map((one) => one?.[key] ?? "");
        if (key === "value" || values.some((value) => value !== "")) add(titled(column.name + ending, column.unit), values);
      }
      // On quality there is one verdict, which has a column of its own.
      if (column.kind === "change" && !column.key.startsWith("quality_kept")) add(`${column.name} verdict`, found.map((one) => (one?.value == null ? "" : one.verdict ?? "")));
    }
    add("Reason", visible.map((row) => row.technique.reason ?? ""));
    function add(head, values) {
      heads.push(head);
      values.forEach((value, index) => lines[index].push(value));
    }
    return [heads, ...lines].map((line) => line.map((value) => quoted(typeof value === "number" ? String(value) : inert(value))).join(",")).join("\n") + "\n";
  }

  function markdown(visible) {
    const heads = shown().map((column) => titled(column.name, Dom.find(".unit", column.head)?.textContent));
    const text = (cell) => [...cell.children].map((part) => (part.classList.contains("interval") ? `(${plain(part.textContent)})` : plain(part.textContent))).join(" ");
    const lines = visible.map((row) => {
      const cells = row.ran ? shown().map((column) => text(row.element.cells[column.index])) : shown().map((_, index) => (index ? "" : `${Dom.find(".under", row.element).textContent}: ${row.technique.reason ?? ""}`));
      return [row.technique.label, ...cells];
    });
    const rule = ["---", ...shown().map((column) => (column.kind === "word" ? "---" : "---:"))];
    const line = (cells) => `| ${cells.join(" | ")} |`;
    return [line(["Technique", ...heads].map(escaped)), line(rule), ...lines.map((cells) => line(cells.map(escaped)))].join("\n") + "\n";
  }

  async function copy(kind) {
    const inOrder = [...rows].sort((a, b) => (a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    const visible = inOrder.filter((row) => !row.element.hidden);
    const text = kind === "csv" ? csv(visible) : markdown(visible);
    try {
      await navigator.clipboard.writeText(text);
      Dom.announce("Copied.");
      said(kind);
    } catch {
      offer(text);
    }
  }

  function said(kind) {
    const button = Dom.find(`#results [data-copy="${kind}"]`);
    const before = button.dataset.text ??= button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  // A page from a file may have no clipboard: the text is shown, selected, to be copied by hand.
  function offer(text) {
    const area = Dom.el("textarea", { readonly: true, "aria-label": "Table as text", spellcheck: "false" });
    area.value = text;
    const close = Dom.el("button", { type: "button", class: "press" }, "Close");
    const dialog = Dom.el("dialog", { class: "copy", "aria-label": "Copy the table" }, Dom.el("p", {}, "The clipboard is not open to this page. Copy the selected text (Ctrl+C)."), area, close);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    area.focus();
    area.select();
  }

  function start() {
    read();
    const sortable = (text) => text === "" || ["technique", ...columns.map((column) => column.key)].includes(text.replace(/^-/, ""));
    State.field("sort", { initial: "", write: (text) => text, read: (text) => (sortable(text) ? text : undefined) });
    State.field("columns", { initial: preset("main"), write: writeColumns, read: readColumns });
    State.field("find", { initial: "", write: (text) => text, read: (text) => text.slice(0, 200) });
    State.field("only", { initial: [], write: (names) => names.join(","), read: (text) => Object.keys(TESTS).filter((name) => text.split(",").includes(name)) });

    Dom.find("#results-find").addEventListener("input", (event) => State.set({ find: event.target.value }));
    Dom.find("#results-columns").addEventListener("change", (event) => {
      const keys = chosen();
      if (event.target.checked) keys.add(event.target.value); else keys.delete(event.target.value);
      State.set({ columns: columns.map((column) => column.key).filter((key) => keys.has(key)) });
    });
    Dom.find("#results").addEventListener("click", (event) => {
      const { only, preset: wanted, copy: kind } = event.target.closest("button")?.dataset ?? {};
      if (only) {
        const now = State.get("only");
        State.set({ only: now.includes(only) ? now.filter((name) => name !== only) : Object.keys(TESTS).filter((name) => name === only || now.includes(name)) });
      }
      if (wanted) State.set({ columns: preset(wanted) });
      if (kind) copy(kind);
    });
    for (const id of ["results", "changes"]) follow(document.getElementById(id));

    State.on(["sort"], () => { order(); tellOrder(); });
    State.on(["columns"], showColumns);
    State.on(["find", "only"], filter);
    State.on(["axes"], () => { if (State.get("only").includes("front")) filter(); });
    State.on(["choice"], judge);
    State.on(["price"], cost);
    State.on(["highlight"], () => mark("lit", State.get("highlight")));
    State.on(["picked"], () => mark("picked", State.get("picked")));
    addEventListener("beforeprint", () => spanReasons(preset("main").length));
    addEventListener("afterprint", () => spanReasons(Math.max(chosen().size, 1)));
    filter();
    judge();
  }

  return { start };
})();

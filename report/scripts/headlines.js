// The headlines of all prompts: filtered, sorted and compared; only the prompts of one page are ever built.
const Headlines = (() => {
  const PAGE = 4;
  const SCORES = ["rouge1", "rouge2", "rougeL", "rougeLsum"];
  const NAMES = ["ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"];
  const INITIAL = { show: "all", against: "parent", of: "", category: "", search: "", page: 0, techniques: null };
  const SHOW = ["all", "differs", "losses"];
  const AGAINST = ["parent", "baseline"];
  let prompts, rows, wrote, names, controls, current = 0, searched = null;

  // --- what stands in the address ---

  function write(value) {
    const given = new URLSearchParams();
    for (const key of ["show", "against", "of", "category", "search"]) if (value[key] !== INITIAL[key]) given.set(key, value[key]);
    if (value.page) given.set("page", value.page + 1);
    if (value.techniques) given.set("techniques", value.techniques.join(" "));
    return given.toString();
  }

  function read(text) {
    const given = new URLSearchParams(text);
    const one = (key, allowed) => (allowed.includes(given.get(key)) ? given.get(key) : INITIAL[key]);
    const page = Number(given.get("page"));
    return {
      show: one("show", SHOW),
      against: one("against", baseline() ? AGAINST : ["parent"]),
      of: one("of", names),
      category: one("category", rows.map((row) => row.category)),
      search: (given.get("search") ?? "").slice(0, 200),
      page: Number.isInteger(page) && page > 1 ? page - 1 : 0,
      techniques: given.has("techniques") ? chosenOf(given.get("techniques").split(" ")) : null,
    };
  }

  const chosenOf = (wanted) => {
    const kept = names.filter((name) => wanted.includes(name));
    return kept.length === names.length ? null : kept;
  };
  const change = (patch) => State.set({ prompts: { ...State.get("prompts"), page: 0, ...patch } });

  // --- which prompts, in which order ---

  const baseline = () => (wrote[Data.comparison.baseline.name] ? Data.comparison.baseline.name : null);

  // Whom a technique is compared with, or null where that one wrote nothing or is the technique itself.
  function reference(name, against) {
    const other = against === "baseline" ? baseline() : Data.byName.get(name)?.parent;
    return other && other !== name && wrote[other] ? other : null;
  }

  const shownNames = (value) => value.techniques ?? names;
  const judgedNames = (value) => (value.of ? [value.of] : shownNames(value));

  function matching(value) {
    const wanted = value.search.trim().toLowerCase();
    const pairs = judgedNames(value).map((name) => [wrote[name], wrote[reference(name, value.against)]]).filter((pair) => pair[1]);
    const found = [];
    for (let index = 0; index < rows.length; index++) {
      if (value.category && rows[index].category !== value.category) continue;
      if (wanted && !texts()[index].includes(wanted)) continue;
      const loss = value.show === "all" ? 0 : largestLoss(index, pairs);
      if (loss === null || (value.show === "losses" && !(loss > 0))) continue;
      found.push([index, loss]);
    }
    if (value.show === "losses") found.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    return found;
  }

  // The largest fall of ROUGE-L among the techniques that wrote something else; null where none did.
  function largestLoss(index, pairs) {
    const written = rows[index].texts;
    let largest = null;
    for (const [own, other] of pairs) {
      if (own[index] === other[index]) continue;
      const loss = (written[other[index]].rougeL ?? 0) - (written[own[index]].rougeL ?? 0);
      largest = largest === null ? loss : Math.max(largest, loss);
    }
    return largest;
  }

  function texts() {
    searched ??= rows.map((row) => [row.summary, row.reference, ...row.texts.map((each) => each.text)].join("\n").toLowerCase());
    return searched;
  }

  // --- one prompt ---

  // Techniques that wrote the same, and are compared with the same text, share a row.
  function grouped(index, value) {
    const groups = new Map();
    // The technique that the prompts are chosen for comes first where it stands.
    const listed = shownNames(value).includes(value.of) ? [value.of, ...shownNames(value).filter((name) => name !== value.of)] : shownNames(value);
    for (const name of listed) {
      const other = reference(name, value.against);
      const own = wrote[name][index], theirs = other ? wrote[other][index] : own;
      const key = `${own} ${theirs}`;
      if (!groups.has(key)) groups.set(key, { own, theirs, names: [], others: new Set() });
      groups.get(key).names.push(name);
      if (other) groups.get(key).others.add(other);
    }
    return [...groups.values()].sort((a, b) => a.own - b.own || (a.own === a.theirs ? -1 : 0) - (b.own === b.theirs ? -1 : 0));
  }

  function article(index, value) {
    const { el } = Dom;
    const row = rows[index];
    const heads = [["Written by", ""], ["Headline", ""], ...NAMES.map((name) => [name, "number"]), ["Change of ROUGE-L", "number"]];
    const reference = el("tr", { class: "reference" }, el("th", { scope: "row" }, "Reference"), el("td", { dir: "auto" }, row.reference), el("td", { colspan: NAMES.length + 1 }));
    const body = grouped(index, value).map((group) => headline(row, index, group, value.of));
    return el("article", { class: "example" },
      el("h3", {}, `Prompt ${index + 1} `, row.category && el("span", { class: "unit" }, Dom.label(row.category))),
      el("p", { class: "source", dir: "auto" }, row.summary),
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Headlines of prompt ${index + 1}` },
        el("table", { class: "headlines" },
          el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind || null }, text)))),
          el("tbody", {}, reference, body))));
  }

  function headline(row, index, group, judged) {
    const { el } = Dom;
    const own = row.texts[group.own], theirs = row.texts[group.theirs];
    const differs = group.own !== group.theirs;
    const marked = differs ? Diff.nodes(theirs.text, own.text) : [own.text];
    const tags = [
      own.text === "" && el("i", {}, own.fault || "empty"),
      own.text !== "" && own.text.trim() === row.reference.trim() && el("span", { class: "verdict good" }, "as the reference"),
      differs && marked.every((part) => typeof part === "string") && el("span", { class: "verdict" }, "other spaces alone"),
    ].filter(Boolean);
    const change = differs && Numbers.known(own.rougeL) && Numbers.known(theirs.rougeL) ? own.rougeL - theirs.rougeL : null;
    return el("tr", { class: group.names.includes(judged) ? "judged" : null },
      el("th", { scope: "row" }, writers(group, index)),
      el("td", { dir: "auto" }, marked, tags.map((tag) => [" ", tag]), rawAnswers(own.raw ?? [])),
      SCORES.map((key) => el("td", { class: "number" }, score(own[key]))),
      el("td", { class: "number" }, differs ? changeText(change) : group.others.size ? "same text" : Numbers.NOTHING));
  }

  // What was answered, where the headline is only a part of it.
  function rawAnswers(answers) {
    const { el } = Dom;
    return answers.map((raw) => {
      const by = answers.length > 1 && [" of ", el("bdi", {}, raw.by.map(Data.label).join(", "))];
      const rest = raw.length - [...raw.answer].length;
      return el("details", { class: "raw" },
        el("summary", {}, "Raw answer", by || null, raw.removed.length ? `; taken away: ${raw.removed.join(", ")}` : ""),
        el("pre", { dir: "auto" }, raw.answer),
        rest > 0 ? el("p", {}, `${rest.toLocaleString("en")} more characters.`) : null);
    });
  }

  // Scores lie between -1 and 1: what Numbers does for thousands would take most of a page's time.
  const score = (value) => (Numbers.known(value) ? value.toFixed(3).replace("-", Numbers.MINUS) : Numbers.NOTHING);

  function changeText(change) {
    const text = score(change);
    if (!/[1-9]/.test(text)) return text;
    return Dom.el("span", { class: change > 0 ? "good" : "bad" }, change > 0 ? `+${text}` : text);
  }

  // The first names; opened, every technique with its own time and tokens, which are put in only then.
  const folded = new WeakMap();

  function writers(group, index) {
    const { el } = Dom;
    const first = group.names.slice(0, 3).flatMap((name, at) => [at ? ", " : "", el("bdi", {}, Data.label(name))]);
    const more = group.names.length > 3 ? ` and ${group.names.length - 3} more` : "";
    const details = el("details", {}, el("summary", {}, first, more));
    folded.set(details, { group, index });
    return details;
  }

  function unfold({ target: details }) {
    const held = details.open && folded.get(details);
    if (!held) return;
    folded.delete(details);
    const { el } = Dom;
    const { group, index } = held;
    const lines = group.names.map((name) => el("li", { "data-technique": name }, el("bdi", {}, Data.label(name)), spent(name, index)));
    const others = [...group.others].map((name, at) => [at ? ", " : "", el("bdi", {}, Data.label(name))]);
    details.append(el("ul", {}, lines), ...(others.length ? [el("p", {}, "Compared with ", others, ".")] : []));
  }

  function spent(name, index) {
    const seconds = prompts.latency_s?.[name]?.[index], tokens = prompts.new_tokens?.[name]?.[index];
    const parts = [];
    if (Numbers.known(seconds)) parts.push(Numbers.show(seconds, "time"));
    if (Numbers.known(tokens)) parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
    return parts.length ? `: ${parts.join(", ")}` : "";
  }

  // --- the page ---

  const control = (name) => Dom.find(`[name=${name}]`, controls);

  function render() {
    const value = State.get("prompts");
    const found = matching(value);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const page = current = Math.min(value.page, pages - 1);
    const shown = found.slice(page * PAGE, (page + 1) * PAGE);
    showChoices(value);
    const count = found.length
      ? `${shown.length === found.length ? found.length : `${page * PAGE + 1}${Numbers.DASH}${page * PAGE + shown.length}`} of ${found.length} prompts` + (found.length < rows.length ? ` (${rows.length} in all)` : "")
      : `None of the ${rows.length} prompts matches.`;
    Dom.find("#headlines-count").textContent = count;
    const [previous, next] = Dom.all("#headlines-pager button");
    for (const [button, off] of [[previous, page === 0], [next, page >= pages - 1]]) button.setAttribute("aria-disabled", off);
    const none = found.length ? [] : [Dom.el("p", {}, empty(value))];
    Dom.find("#headlines-live").replaceChildren(...none, ...shown.map(([index]) => article(index, value)));
    return count;
  }

  function empty(value) {
    if (!shownNames(value).length && !value.of) return "No technique is chosen.";
    return value.show === "losses" ? "No prompt lost ROUGE-L here." : "No prompt matches; clear the search or widen the filter.";
  }

  function showChoices(value) {
    for (const key of ["show", "against", "of", "category"]) if (control(key)) control(key).value = value[key];
    if (control("search") !== document.activeElement) control("search").value = value.search;
    const chosen = new Set(shownNames(value));
    for (const box of Dom.all("input[name=technique]", controls)) box.checked = chosen.has(box.value);
    Dom.find("#headlines-chosen").textContent = value.techniques ? `${chosen.size} of ${names.length}` : `all ${names.length}`;
  }

  function start() {
    prompts = Data.comparison.prompts ?? {};
    rows = prompts.rows ?? [];
    wrote = prompts.wrote ?? {};
    names = Object.keys(wrote);
    controls = Dom.find("#headlines-controls");
    State.field("prompts", { initial: INITIAL, write, read });
    if (!controls) return;
    controls.addEventListener("change", ({ target }) => {
      if (target.name === "technique") change({ techniques: chosenOf(Dom.all("input[name=technique]:checked", controls).map((box) => box.value)) });
      else if (target.name !== "search") change({ [target.name]: target.value });
    });
    control("search").addEventListener("input", Dom.perFrame(() => change({ search: control("search").value })));
    controls.addEventListener("click", ({ target }) => {
      if (target.dataset.choose) change({ techniques: target.dataset.choose === "all" ? null : [] });
    });
    Dom.find("#headlines-pager").addEventListener("click", ({ target }) => {
      if (!target.dataset.step || target.getAttribute("aria-disabled") === "true") return;
      change({ page: current + Number(target.dataset.step) });
    });
    // That event does not rise: it is caught on its way down.
    Dom.find("#headlines-live").addEventListener("toggle", unfold, true);
    State.on(["prompts"], () => Dom.announce(render()));
    render();
  }

  return { start };
})();

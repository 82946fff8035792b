// What to use under the reader's limits and weights: said under the form, and shown in place of the study's own top three.
const Decision = (() => {
  const { ranking } = Ranking;
  const CRITERIA = { latency: "latency", throughput: "samples/s", capacity: "requests/s under load", memory: "peak memory", quality: "ROUGE-L" };
  let place = null;
  let own = [], ownLine = [], ownCards = [];
  let speaking = null;

  const score = (value) => `${Numbers.fixed(value, 2)}${Numbers.TIMES}`;
  const interval = ({ low, high }) => (low === null || low === high ? "" : `${Numbers.fixed(low, 2)}${Numbers.DASH}${Numbers.fixed(high, 2)}`);

  function reason({ limit, value, bound }) {
    if (limit in CRITERIA) return `${CRITERIA[limit]} was not measured`;
    if (limit === "fits_gpu") {
      if (value === null) return `not known to fit ${bound}: what a GPU would need was not measured`;
      return `needs ${Limits.show(limit, value)} on each device, too much for ${bound}`;
    }
    if (!Numbers.known(value)) return `${Limits.title(limit)} ${limit === Price.LIMIT && !Price.isSet() ? "is not known, since no price of a device hour is set" : "was not measured"}`;
    return `${Limits.title(limit)} ${Limits.show(limit, value)}, ${Limits.most(limit) ? "above" : "below"} ${Limits.show(limit, bound)}`;
  }

  const studysOwn = () =>
    !Object.keys(State.get("limits")).length &&
    Object.keys(ranking.weights).every((key) => State.get("weights")[key] === ranking.weights[key]);

  // The limit that strikes out most techniques, with how many.
  function strictest(failed) {
    const counts = new Map();
    for (const entries of failed.values()) for (const { limit, bound } of entries) if (bound !== null) counts.set(limit, (counts.get(limit) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1])[0] ?? null;
  }

  function counted({ ranked, failed }) {
    const strict = strictest(failed);
    const count = `${ranked.length} of ${Ranking.names.length} techniques that ran qualify`;
    if (!strict) return `${count}.`;
    const [limit, struck] = strict;
    return `${count}; ${limit === "fits_gpu" ? "the choice of GPU" : Limits.title(limit)} strikes out the most: ${struck}.`;
  }

  function relaxation({ failed }) {
    const found = Ranking.nearest(failed);
    if (found) {
      const title = Limits.title(found.limit);
      const change = found.limit === "fits_gpu"
        ? `take ${found.needed} instead of ${found.bound}`
        : `ask for ${title} at ${Limits.most(found.limit) ? "most" : "least"} ${Limits.show(found.limit, Limits.relaxed(found.limit, found.needed))} instead of ${Limits.show(found.limit, found.bound)}`;
      return `Nearest: ${change}, and ${Data.label(found.name)} qualifies.`;
    }
    const fewest = [...failed].sort((a, b) => a[1].length - b[1].length)[0];
    return fewest ? `No single limit is enough. ${Data.label(fewest[0])} fails the fewest: ${fewest[1].map(reason).join("; ")}.` : "";
  }

  const of = () => Dom.find("#top")?.dataset.of ?? "the reference";
  const named = (name) => Dom.el("a", { href: `#technique-${name}` }, Dom.el("bdi", null, Data.label(name)));
  const told = (row, whole, alone = false) =>
    `${score(row.score)}${whole ? ` ${of()} overall` : ""}${whole && interval(row) ? ` (${interval(row)})` : ""}${alone ? "" : `, chance ${whole ? "of being the best " : ""}${Numbers.chance(row.chance_best)}`}${Price.told(row.name) && `, ${Price.told(row.name)}`}`;

  // Too few prompts or runs, or flags everywhere: limits still strike out, but nothing is called the best.
  const undecided = () => Data.comparison.no_winner.length > 0;

  function sayChoice(found) {
    const [first, second] = found.ranked;
    if (first && undecided()) return [Dom.el("p", { class: "winner none" }, "No winner is named: what is missing is said in the answer.")];
    if (!first) return [Dom.el("p", { class: "winner none" }, "No technique meets these limits."), Dom.el("p", null, relaxation(found))];
    const use = Dom.el("p", { class: "winner", "data-winner": first.name, "data-chance": first.chance_best }, Dom.el("span", { class: "mark" }, second ? "Use" : "Only"), " ", named(first.name), " ", Dom.el("span", { class: "odds" }, told(first, true, !second)));
    const then = second
      ? Dom.el("p", { class: "second" }, Dom.el("span", { class: "mark" }, "Then"), " ", named(second.name), " ", Dom.el("span", { class: "odds" }, told(second, false)))
      : Dom.el("p", { class: "second" }, `No other technique ${Ranking.names.length > 1 ? "qualifies" : "ran"}, so nothing was compared.`);
    return [use, then];
  }

  function show(found) {
    place.answer.replaceChildren(...sayChoice(found), Dom.el("p", { class: "count" }, counted(found)));
    place.struck.hidden = !found.failed.size;
    place.summary.textContent = `${found.failed.size} struck out, and why`;
    place.list.replaceChildren(...[...found.failed].map(([name, entries]) =>
      Dom.el("li", { "data-technique": name }, Dom.el("bdi", null, Data.label(name)), `: ${entries.map(reason).join("; ")}.`)));
  }

  // A criterion that was not measured keeps a technique out of the score alone: it has no bound.
  const limitedOut = (found, name) => (found.failed.get(name) ?? []).some(({ bound }) => bound !== null);

  // The techniques for single requests and for bulk work of those that meet the limits, by the rules of the study's own
  // answer (scripts/report/answer.py): none replaces a reference that qualifies unless it is shown to be faster.
  function picked(meets, of, { more, reference }) {
    const { alone, bulk, bulk_ties: ties } = Data.comparison.uses;
    const first = alone.find(meets);
    const one = first && meets(reference) && !("faster" in of(first).dataset) ? reference : first;
    const most = bulk.find(meets);
    if (!one || !most) return [one, most];
    const rate = (name) => Number(of(name).dataset.rate);
    const level = rate(most) < Number(more) * rate(one) || (most === bulk[0] && (ties ?? []).includes(one));
    if (rate(most) >= Number(more) && !level) return [one, most];
    return [one, one !== reference && rate(most) >= Number(more) ? one : null];
  }

  // The big headline and the cards under the reader's limits: of each use the first technique that meets them.
  function showAnswer(found) {
    const note = Dom.find("#answer-note"), line = Dom.find("#headline"), beside = Dom.find("#answer-beside"), cards = Dom.find("#cards");
    const template = Dom.find("#others"), others = template?.content;
    if (!note || !others) return;
    // Limits that every technique meets leave the study's own answer as it is, with its price and its doubt.
    const limited = Ranking.names.some((name) => limitedOut(found, name));
    note.hidden = !limited;
    beside.hidden = limited;
    Dom.find("#cards-of").hidden = false;
    if (!limited) {
      line.replaceChildren(...ownLine);
      cards.replaceChildren(...ownCards);
      return;
    }
    const meets = (name) => !limitedOut(found, name);
    const of = (name) => Dom.find(`div[data-technique="${CSS.escape(name)}"]`, others);
    const [one, most] = picked(meets, of, template.dataset), any = one ?? most ?? found.winner;
    // Beyond those, what qualifies need not keep the quality; its card says whether it does.
    Dom.find("#cards-of").hidden = !one && !most;
    if (!any) {
      line.textContent = "No technique meets your limits.";
      cards.replaceChildren();
      return;
    }
    const said = (name, use) => Dom.find(`[data-use="${use}"]`, of(name)).textContent;
    const wanted = new Map([[one ?? (most ? null : any), "Single requests"], [most, "Bulk work"]].filter(([name]) => name));
    if (!one && !most) line.replaceChildren(Dom.el("bdi", null, said(any, "rest")));
    else line.replaceChildren(Dom.el("bdi", null, [...new Set([one ?? (most ? null : any), most && most !== one ? most : null])].filter(Boolean)
      .map((name) => said(name, name === most && name !== one ? "bulk" : "alone")).join(" ")));
    cards.replaceChildren(...[...wanted].map(([name, use]) => {
      const card = Dom.find(".card", of(name)).cloneNode(true);
      Dom.find(".use", card).textContent = name === one && name === most ? "Single requests, bulk work" : use;
      return card;
    }));
  }

  // The study's own top three, or that of the reader's limits, filled into copies of the same markup.
  function showTop(found) {
    const top = Dom.find("#top"), note = Dom.find("#ranked-under");
    if (!top) return;
    const same = studysOwn();
    note.hidden = same;
    top.classList.toggle("yours", !same);
    top.replaceChildren(...(same ? own : found.ranked.slice(0, Number(top.dataset.top)).map(filled)));
  }

  function filled(row, index) {
    const ours = Dom.find("#candidates").content;
    const item = Dom.all(".candidate", ours).find((each) => each.dataset.technique === row.name)?.cloneNode(true);
    if (!item) return Dom.el("li", { class: "candidate", "data-technique": row.name }, named(row.name), ` ${told(row, true)}`);
    Dom.find(".rank", item).textContent = String(index + 1);
    Dom.find(".times", item).textContent = score(row.score);
    Dom.find(".interval", item).textContent = interval(row);
    Dom.find(".share", item).textContent = Numbers.chance(row.chance_best);
    const bar = Dom.find(".filled", item);
    if (bar) bar.style.width = `${100 * (row.chance_best ?? 0)}%`;
    return item;
  }

  function speak(found) {
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      const [first, second] = found.ranked;
      Dom.announce(`${first && undecided() ? "No winner is named." : first ? `${Data.label(first.name)}: ${told(first, true, !second)}.` : `No technique meets these limits. ${relaxation(found)}`} ${counted(found)}`);
    }, 700);
  }

  function choose() {
    const found = Ranking.choose(State.get("limits"), State.get("weights"));
    const failing = Object.fromEntries([...found.failed].map(([name, entries]) => [name, entries.map((entry) => `${Limits.capital(reason(entry))}.`)]));
    show(found);
    showTop(found);
    showAnswer(found);
    for (const row of Dom.all(".bars tbody tr")) row.classList.toggle("struck", limitedOut(found, row.dataset.technique));
    State.set({ choice: { ranked: found.ranked, failing, winner: found.winner } });
    return found;
  }

  async function copy() {
    const address = `${location.href.split("#")[0]}#${State.fragment() || "decision"}`;
    const said = Dom.find("#limits-copied");
    try {
      await navigator.clipboard.writeText(address);
      said.textContent = "Copied.";
    } catch {
      // Without access to the clipboard the reader copies by hand.
      const field = Dom.el("input", { type: "text", readonly: true, "aria-label": "Link to these limits" });
      field.value = address;
      said.replaceChildren("Copy it from here: ", field);
      field.select();
    }
  }

  function start() {
    State.field("choice", { initial: { ranked: [], failing: {}, winner: null } });
    const box = Dom.find("#choice");
    if (!box) return;
    own = [...(Dom.find("#top")?.children ?? [])];
    ownLine = [...(Dom.find("#headline")?.childNodes ?? [])];
    ownCards = [...(Dom.find("#cards")?.children ?? [])];
    place = { answer: Dom.el("div", { class: "gives" }), struck: Dom.el("details", { class: "fold" }), summary: Dom.el("summary"), list: Dom.el("ul", { class: "struck" }) };
    place.struck.append(place.summary, place.list);
    box.append(Dom.el("h4", null, "Under these limits and weights"), place.answer, place.struck);
    const back = () => Dom.el("button", { type: "button", onclick: Limits.reset }, "Back to the study's own");
    Dom.find("#ranked-under")?.append(Dom.el("strong", null, "With your limits and weights."), " ", back());
    Dom.find("#answer-note")?.append(
      Dom.el("strong", null, "Under your limits."), " ", back());
    Dom.find("#limits-copy").addEventListener("click", copy);
    State.on(["limits", "weights", "price"], () => {
      Dom.find("#limits-copied").replaceChildren();
      speak(choose());
    });
    choose();
  }

  return { start };
})();

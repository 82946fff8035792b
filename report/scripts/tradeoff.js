// The trade-off picture: techniques on two axes of the reader's choice, with the Pareto front.
const Tradeoff = (() => {
  const { X, Y, figure, known, scaleOf, named, shown, ticks, position } = Axes;
  const RADIUS = 5.5, NARROW = 560, FONT = 12;
  // The part of the picture's width and height that the better corner takes.
  const CORNER = [0.34, 0.42], BETTER = "better", SAME_TEXT = "same text", BOLD = 1.1;
  let drawn = null, last = null, current = null;
  let places = { key: null, placed: [], of: new Map() };

  const choice = () => State.get("choice");
  const baseline = () => Data.comparison.baseline.name;

  const chosen = () => {
    const [x, y] = State.get("axes").split(",");
    return [X.find((axis) => axis.key === x), Y.find((axis) => axis.key === y)];
  };

  // The chance of being on the front of each technique that the reader's limits leave.
  function chances() {
    const [x, y] = chosen();
    const points = Data.ran.filter((technique) => !(technique.name in choice().failing))
      .map((technique) => ({ name: technique.name, x: figure(technique, x).value, y: figure(technique, y).value }))
      .filter((point) => Numbers.known(point.x) && Numbers.known(point.y));
    return Fronts.chances(points, x, y);
  }

  const placed = (...places) => new Set([...chances()].filter(([, chance]) => places.includes(Fronts.place(chance))).map(([name]) => name));
  // Those that are on it for certain, and those that may be.
  const front = () => placed("firm");
  const possible = () => placed("possible");

  // ---- drawing

  function draw() {
    const place = Dom.find("#tradeoff-chart");
    const width = Math.round(place.clientWidth);
    if (!width) return;
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.technique : null;
    const [x, y] = chosen(), narrow = width < NARROW;
    const height = Math.round(Math.min(Math.max(width * 0.58, 380), 580));
    const frame = { left: narrow ? 40 : 52, right: width - 12, top: 30, bottom: height - 44 };
    const present = Data.ran.filter((one) => [x, y].every((axis) => Numbers.known(figure(one, axis).value)));
    const best = front(), perhaps = possible(), chanceOf = chances(), scales = [scaleOf(x), scaleOf(y)];
    if (!present.length) {
      place.replaceChildren(Dom.el("p", { class: "lead" }, "No technique has both figures."));
      drawn = { points: new Map(), axes: State.get("axes") };
      return;
    }
    const across = position(x, present.map((one) => figure(one, x)), frame.left, frame.right, { after: narrow ? 0.1 : 0.14 });
    const up = position(y, present.map((one) => figure(one, y)), frame.bottom, frame.top, { reversed: y.low, after: 0.12 });
    const pen = measure();
    const points = present.map((technique) => {
      const [fx, fy] = [figure(technique, x), figure(technique, y)];
      const px = across.at(fx.value), py = up.at(fy.value), name = technique.name;
      const text = Labels.cut(technique.label, narrow ? 20 : 34) + (perhaps.has(name) ? ` (${Numbers.chance(chanceOf.get(name))})` : "");
      // What is labelled at once; the others are when they are pointed at or picked.
      const shy = !best.has(name) && !perhaps.has(name) && name !== baseline() && name !== choice().winner;
      return { technique, name, fx, fy, px, py, text, shy, width: pen(text) + 2, box: { left: px - 7, right: px + 7, top: py - 7, bottom: py + 7 } };
    }).sort((a, b) => a.px - b.px || a.py - b.py);
    const line = points.filter((point) => best.has(point.name));
    const bars = points.flatMap((point) => spans(point, across, up)).concat(steps(line)).map(([x1, y1, x2, y2]) =>
      ({ left: Math.min(x1, x2) - 1, right: Math.max(x1, x2) + 1, top: Math.min(y1, y2) - 1, bottom: Math.max(y1, y2) + 1 }));
    const word = { left: frame.left + 4, right: frame.left + 8 + pen(BETTER), top: frame.top + 1, bottom: frame.top + 17 };
    const scene = { points, bars, word, frame };
    placeLabels(points, scene, [x.key, y.key, width]);

    const byName = new Map(points.map((point) => [point.name, point]));
    const tabStop = focused && byName.has(focused) ? focused : byName.has(current) ? current : points[0].name;
    const picture = { x, y, across, up, frame };
    const bounds = Dom.svg("g", { "aria-hidden": "true" }, Bounds.lines(picture));
    const labelled = points.filter((point) => !point.shy);
    const leaders = Dom.svg("g", null, labelled.flatMap(leader));
    const labels = Dom.svg("g", { "aria-hidden": "true" }, labelled.map((point) => label(point, best, perhaps)));
    const svg = Dom.svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `Trade-off: ${named(x, scales[0])} across, ${named(y, scales[1])} up. ${points.length} techniques; arrow keys go from one to the next.` },
      Dom.svg("g", { "aria-hidden": "true" },
        corner(frame),
        grid(x, y, across, up, frame, scales, narrow),
        Dom.svg("text", { class: "better", x: frame.left + 6, y: frame.top + 13 }, BETTER),
        points.filter((point) => byName.has(point.technique.parent)).map((point) => {
          const parent = byName.get(point.technique.parent);
          return Dom.svg("line", { class: "kin", x1: parent.px, y1: parent.py, x2: point.px, y2: point.py, "data-child": point.name, "data-parent": parent.name });
        }),
        line.length > 1 ? Dom.svg("path", { class: "front-line", d: line.map(({ px, py }, index) => (index ? `H${px}V${py}` : `M${px} ${py}`)).join("") }) : null,
        points.flatMap((point) => spans(point, across, up).map(([x1, y1, x2, y2]) => Dom.svg("line", { class: "interval-bar", "data-of": point.name, x1, y1, x2, y2 }))),
        leaders),
      bounds,
      points.map((point) => marker(point, best, perhaps, tabStop, [x, y], scales)),
      labels);
    place.replaceChildren(svg);
    current = tabStop;
    drawn = { svg, points: byName, order: points, axes: State.get("axes"), bounds, picture, scene, leaders, labels, best, perhaps };
    if (focused) markerOf(focused)?.focus();
    mark("lit", State.get("highlight"));
    mark("picked", State.get("picked"));
    tellFront(x, y, scales, line, points.filter((point) => perhaps.has(point.name)), points.length);
  }

  // Placing is slow. Limits and weights move no point, so labels stay where they are, also for the reader's eye.
  function placeLabels(points, scene, picture) {
    const named = points.filter((point) => !point.shy);
    const key = [...picture, ...named.map((point) => point.name + point.text)].join();
    if (places.key !== key) {
      places = { key, placed: Labels.place(Labels.inTurn(named), scene), of: new Map(named.map((point) => [point.name, point.place])) };
    }
    for (const point of named) point.place = places.of.get(point.name);
  }

  // The label of a technique that has none at first, made when it is pointed at.
  function callOut(name) {
    const point = drawn.points.get(name);
    if (!point?.shy || point.place) return;
    point.width *= BOLD;
    Labels.place([point], drawn.scene, [...places.placed]);
    drawn.leaders.append(...leader(point));
    drawn.labels.append(label(point, drawn.best, drawn.perhaps));
  }

  const leader = (point) => (point.place?.anchor ? [Dom.svg("line", { class: "leader" + (point.shy ? " shy" : ""), "data-of": point.name, x1: point.px, y1: point.py, x2: point.place.anchor[0], y2: point.place.anchor[1] })] : []);

  function measure() {
    const context = document.createElement("canvas").getContext("2d");
    context.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
    return (text) => context.measureText(text).width;
  }

  // The lines of a point's intervals, and of the front, which goes right and then up from each point to the next.
  function spans({ fx, fy, px, py }, across, up) {
    const lines = [];
    if (Numbers.known(fx.low) && Numbers.known(fx.high)) lines.push([across.at(fx.low), py, across.at(fx.high), py]);
    if (Numbers.known(fy.low) && Numbers.known(fy.high)) lines.push([px, up.at(fy.low), px, up.at(fy.high)]);
    return lines;
  }

  // The better corner: up and to the left, whichever end of an axis that is.
  function corner({ left, right, top, bottom }) {
    const [wide, high] = [CORNER[0] * (right - left), CORNER[1] * (bottom - top)];
    return Dom.svg("path", { class: "corner", d: `M${left} ${top}H${left + wide}A${wide} ${high} 0 0 1 ${left} ${top + high}Z` });
  }

  const steps = (line) => line.slice(1).flatMap((point, index) => [[line[index].px, line[index].py, point.px, line[index].py], [point.px, line[index].py, point.px, point.py]]);

  function grid(x, y, across, up, frame, scales, narrow) {
    const text = (value, scale) => Number((value / scale.size).toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
    const rightmost = ticks(across.low, across.high, across.logarithmic, narrow ? 5 : 9).map((tick) => [across.at(tick), text(tick, scales[0])]);
    const xTicks = rightmost.filter(([px]) => px <= frame.right + 1);
    const yTicks = ticks(up.low, up.high, up.logarithmic, 8);
    const better = (low, place) => `${low ? "lower" : "higher"} is better${place.logarithmic ? ", log scale" : ""}`;
    return [
      xTicks.map(([px]) => Dom.svg("line", { class: "grid", x1: px, x2: px, y1: frame.top, y2: frame.bottom })),
      yTicks.map((tick) => Dom.svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: up.at(tick), y2: up.at(tick) })),
      Dom.svg("line", { class: "axis", x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }),
      xTicks.map(([px, shownText]) => Dom.svg("text", { class: "tick", x: px, y: frame.bottom + 17, "text-anchor": "middle" }, shownText)),
      yTicks.map((tick) => Dom.svg("text", { class: "tick", x: frame.left - 7, y: up.at(tick) + 4, "text-anchor": "end" }, text(tick, scales[1]))),
      Dom.svg("text", { class: "title", x: 0, y: 14 }, `${named(y, scales[1])} (${better(y.low, up)})`),
      Dom.svg("text", { class: "title", x: frame.right, y: frame.bottom + 36, "text-anchor": "end" }, `${named(x, scales[0])}${x.note ? `, ${x.note}` : ""} (${better(x.low, across)})`),
    ];
  }

  const membership = (name) => {
    const chance = chances().get(name), where = Fronts.place(chance ?? 0);
    return where === "firm" ? "on the Pareto front" : where === "possible" ? `possibly on the Pareto front (chance ${Numbers.chance(chance)})` : "";
  };

  function marker(point, best, perhaps, tabStop, axes, scales) {
    const { px, py, name, technique } = point;
    const gone = name in choice().failing, wins = name === choice().winner;
    const classes = `mark${best.has(name) ? " front" : perhaps.has(name) ? " perhaps" : ""}${name === baseline() ? " base-mark" : ""}`;
    const said = axes.map((axis, index) => { const [value, between] = shown(technique, axis, scales[index]); return `${axis.name} ${value}${between ? ` (${between})` : ""}`; });
    const more = [membership(name), name === baseline() ? "baseline" : "", wins ? "highest score" : "", gone ? `left out: ${choice().failing[name].join(" ")}` : ""];
    return Dom.svg("g", { class: `point${gone ? " out" : ""}`, role: "button", "aria-pressed": State.get("picked") === name ? "true" : "false", tabindex: name === tabStop ? 0 : -1, "data-technique": name, "aria-label": [`${technique.label}: ${said.join(", ")}`, ...more.filter(Boolean)].join("; ") },
      Dom.svg("circle", { class: "halo", cx: px, cy: py, r: 12 }),
      wins ? Dom.svg("circle", { class: "ring", cx: px, cy: py, r: RADIUS + 3.5 }) : null,
      name === baseline()
        ? Dom.svg("rect", { class: classes, x: px - RADIUS + 0.5, y: py - RADIUS + 0.5, width: 2 * RADIUS - 1, height: 2 * RADIUS - 1 })
        : Dom.svg("circle", { class: classes, cx: px, cy: py, r: RADIUS - 0.5 }));
  }

  function label({ name, text, place, shy }, best, perhaps) {
    const classes = `label${best.has(name) || perhaps.has(name) ? " front" : ""}${shy ? " shy" : ""}${name in choice().failing ? " out" : ""}`;
    return Dom.svg("text", { class: classes, x: place.box.left + 1, y: place.box.bottom - 4, "font-size": FONT, "data-of": name }, text);
  }

  function tellFront(x, y, scales, points, maybe, count) {
    const left = count - points.length - maybe.length;
    const out = [...drawn.points.keys()].filter((name) => name in choice().failing).length;
    const among = out ? `Of the ${count - out} that your limits leave` : `Of these ${count}`;
    const told = (point, more = "") => `${point.technique.label} (${shown(point.technique, x, scales[0])[0]}; ${shown(point.technique, y, scales[1])[0]}${more})`;
    const named = points.map((point) => told(point)), unsure = maybe.map((point) => told(point, `; chance ${Numbers.chance(chances().get(point.name))}`));
    const text = points.length || maybe.length
      ? `${among}, on the Pareto front of ${inText(x.name)} and ${inText(y.name)}: ${named.join(", ") || "none for certain"}.${unsure.length ? ` Possibly on it: ${unsure.join(", ")}.` : ""}${left - out > 0 ? ` For each of the other ${left - out} there is in most draws one that is at least as good on both axes and better on one.` : ""}`
      : "Your limits leave no technique.";
    const place = Dom.find("#tradeoff-front");
    if (place.textContent !== text) place.replaceChildren(Dom.el("bdi", {}, text));
  }

  // ---- the panel

  // "Mean latency" within a sentence; "ROUGE-L" and "P99 latency" as they are.
  const inText = (name) => name.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());

  // What the technique changed of one axis against its parent: as it was tested, else from the two values alone.
  function step(technique, parent, axis) {
    const tested = axis.change ? technique.changes.parent.figures?.[axis.change] : null;
    if (tested && Numbers.known(tested.value)) {
      if (tested.verdict === SAME_TEXT) return `${inText(axis.name)}: ${SAME_TEXT}`;
      const verdict = tested.verdict ? `, ${tested.verdict}` : "";
      if (axis.form === "difference") {
        const plus = (value) => (value > 0 ? "+" : "") + Numbers.fixed(value, 3);
        return `${inText(axis.name)} ${plus(tested.value)} ${tested.unit}${Numbers.known(tested.low) ? ` (${plus(tested.low)} to ${plus(tested.high)})` : ""}${verdict}`;
      }
      return told(axis, tested) + verdict;
    }
    const [own, other] = [figure(technique, axis).value, figure(parent, axis).value];
    return Numbers.known(own) && other && axis.form !== "difference" ? told(axis, { value: 100 * (own / other - (axis.form === "kept" ? 0 : 1)) }) : "";
  }

  // "2.37\u00d7 as fast (2.30\u20132.44)", "0.62\u00d7 the peak memory" or "98.2% of ROUGE-L kept".
  function told(axis, change) {
    const [text, between] = Factors.texts(change, axis.form), name = inText(axis.name);
    const speed = axis.key === "latency_s" ? "as fast" : `as fast by ${name}`;
    return `${text} ${{ speed, times: `the ${name}`, kept: `of ${name} kept` }[axis.form]}${between ? ` (${between})` : ""}`;
  }

  function panel() {
    const name = State.get("highlight") ?? last ?? State.get("picked") ?? choice().winner ?? drawn?.order?.find((point) => front().has(point.name))?.name;
    const place = Dom.find("#tradeoff-panel"), technique = Data.byName.get(name);
    if (!technique) {
      place.replaceChildren(Dom.el("p", { class: "lead" }, "The figures of the technique that you point at stand here."));
      return;
    }
    const [x, y] = chosen(), parent = Data.byName.get(technique.parent);
    const rest = [...X, ...Y].filter((axis) => axis !== x && axis !== y && Numbers.known(figure(technique, axis).value));
    const ranked = choice().ranked.find((entry) => entry.name === name);
    const said = [technique.status === "ok" ? "" : technique.status.replaceAll("_", " "), membership(name), name === baseline() ? "baseline" : technique.quality_kept?.verdict ? `quality ${technique.quality_kept.verdict}` : "", name === choice().winner ? "highest score" : ranked ? `score ${Numbers.fixed(ranked.score, 2)}` : ""].filter(Boolean).join(" \u00b7 ");
    const pair = (axis) => { const [value, between] = shown(technique, axis); return Dom.el("div", {}, Dom.el("dt", {}, axis.name), Dom.el("dd", {}, value, between ? " " : "", between ? Dom.el("span", { class: "interval" }, between) : "")); };
    const steps = parent?.status === "ok" && technique.status === "ok" ? [x, y].map((axis) => step(technique, parent, axis)).filter(Boolean) : [];
    const reasons = technique.status === "ok" ? choice().failing[name] : null;
    place.replaceChildren(
      Dom.el("p", { class: "name" }, Dom.el("bdi", {}, technique.label)),
      Dom.el("p", { class: "under" }, said),
      Dom.el("dl", { class: "pairs" }, technique.status === "ok" ? [x, y, ...rest].map(pair) : []),
      technique.status === "ok" ? "" : Dom.el("p", {}, technique.reason ?? ""),
      steps.length ? Dom.el("p", { class: "step" }, Dom.el("bdi", {}, technique.label), " from ", Dom.el("bdi", {}, parent.label), `: ${steps.join("; ")}.`) : "",
      reasons?.length ? Dom.el("p", { class: "fails" }, Dom.el("b", {}, "left out: "), reasons.join(" ")) : "",
      Dom.el("p", { class: "step" }, Dom.el("a", { href: `#row-${name}` }, "Row in the table"), " \u00b7 ", Dom.el("a", { href: `#technique-${name}` }, "All figures")));
  }

  // ---- pointing and picking

  const markerOf = (name) => Dom.find(`.point[data-technique="${CSS.escape(name)}"]`, drawn.svg);

  function mark(kind, name) {
    if (!drawn?.svg) return;
    for (const element of Dom.all(`.${kind}`, drawn.svg)) element.classList.remove(kind);
    if (kind === "picked") for (const point of Dom.all(".point", drawn.svg)) point.setAttribute("aria-pressed", String(point.dataset.technique === name));
    if (!name || !drawn.points.has(name)) return;
    callOut(name);
    const own = CSS.escape(name);
    const kin = kind === "lit" ? `, [data-child="${own}"], [data-parent="${own}"]` : "";
    for (const element of Dom.all(`[data-technique="${own}"], [data-of="${own}"]${kin}`, drawn.svg)) element.classList.add(kind);
  }

  // The nearest point within reach, so that points which lie on each other can be told apart.
  function pointed(event) {
    const named = event.target.closest("[data-of], [data-child]");
    if (named) return named.dataset.of ?? named.dataset.child;
    const box = drawn.svg.getBoundingClientRect(), factor = drawn.svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * factor, y = (event.clientY - box.top) * factor;
    let found = null, least = 22;
    for (const point of drawn.order) {
      const distance = Math.hypot(point.px - x, point.py - y);
      if (distance < least) { least = distance; found = point.name; }
    }
    return found;
  }

  function moveTo(name) {
    for (const point of Dom.all(".point", drawn.svg)) point.setAttribute("tabindex", point.dataset.technique === name ? 0 : -1);
    current = name;
    markerOf(name).focus();
  }

  function keyed(event) {
    const name = event.target.closest(".point")?.dataset.technique;
    if (!name || event.ctrlKey || event.altKey || event.metaKey) return;
    const names = drawn.order.map((point) => point.name), at = names.indexOf(name);
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (next !== undefined) moveTo(names[(next + names.length) % names.length]);
    else if (event.key === "Enter" || event.key === " ") State.pick(name);
    else return;
    event.preventDefault();
  }

  function follow(place) {
    const live = (run) => (event) => { if (drawn?.svg) run(event); };
    place.addEventListener("pointermove", Dom.perFrame(live((event) => State.set({ highlight: pointed(event) }))));
    place.addEventListener("pointerleave", () => State.set({ highlight: null }));
    place.addEventListener("click", live((event) => { const name = pointed(event); if (name) State.pick(name); }));
    place.addEventListener("focusin", (event) => State.set({ highlight: event.target.dataset.technique ?? null }));
    place.addEventListener("focusout", () => State.set({ highlight: null }));
    place.addEventListener("keydown", live(keyed));
  }

  function start() {
    const [firstX, firstY] = [X, Y].map((axes) => axes.find(known));
    const initial = firstX && firstY ? `${firstX.key},${firstY.key}` : "";
    const sensible = (text) => { const [x, y] = text.split(","); return X.some((axis) => axis.key === x) && Y.some((axis) => axis.key === y); };
    State.field("axes", { initial, write: (text) => text, read: (text) => (sensible(text) ? text : undefined) });
    State.field("highlight", { initial: null });
    State.field("picked", { initial: null, write: (name) => name, read: (name) => (Data.byName.has(name) ? name : undefined) });
    const place = Dom.find("#tradeoff-chart");
    if (!initial) {
      Dom.find("#tradeoff .picture").replaceChildren(Dom.el("p", {}, "No technique has figures to show."));
      return;
    }
    const selects = ["#tradeoff-x", "#tradeoff-y"].map((id, index) => {
      const select = Dom.find(id);
      select.addEventListener("change", () => { const now = State.get("axes").split(","); now[index] = select.value; State.set({ axes: now.join(",") }); });
      return select;
    });
    const show = () => {
      if (!known(chosen()[0])) return State.set({ axes: initial }); // the cost, whose price was taken away
      State.get("axes").split(",").forEach((key, index) => { selects[index].value = key; });
      draw();
      panel();
    };
    follow(place);
    State.on(["axes", "choice"], show);
    State.on(["price"], () => {
      const cost = X.find((axis) => axis.key === Price.KEY);
      if (!cost) return;
      cost.option.hidden = cost.option.disabled = !Price.isSet();
      if (chosen()[0] === cost) show(); else panel();
    });
    // A limit may move without striking out other techniques.
    State.on(["limits"], () => drawn?.bounds?.replaceChildren(...Bounds.lines(drawn.picture)));
    State.on(["highlight"], () => { mark("lit", State.get("highlight")); if (State.get("highlight")) { last = State.get("highlight"); panel(); } });
    State.on(["picked"], () => { mark("picked", State.get("picked")); if (State.get("picked")) last = State.get("picked"); panel(); });
    let width = 0;
    new ResizeObserver(Dom.perFrame(() => { if (place.clientWidth !== width) { width = place.clientWidth; draw(); panel(); } })).observe(place);
    show();
  }

  return { start, front: () => (State.get("axes") ? placed("firm", "possible") : new Set()) };
})();

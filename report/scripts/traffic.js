// "I expect 40 requests a second, P99 within 300 ms": which techniques were seen to keep that, in every run.
const Traffic = (() => {
  const number = (id) => { const value = parseFloat(Dom.find(id)?.value); return Number.isFinite(value) && value > 0 ? value : null; };
  const shown = (rate) => Numbers.known(rate) ? String(rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(3))) : "";

  // Per technique that was tested in every run, the levels of each run, the lowest rate first.
  function measured() {
    const key = `p${Data.comparison.load.settings.limits.percentile}`;
    const level = (each) => ({
      rate: each.rate_per_s, saturated: each.saturated || each.failed > 0,
      latency_ms: milliseconds(each.latency_s?.[key]), ttft_ms: milliseconds(each.ttft_s?.[key]),
    });
    // A rate that was tried several times has the median of them.
    const middle = (values) => values.some((each) => each === null) ? null : values.sort((one, other) => one - other)[Math.floor(values.length / 2)];
    const byRate = (found) => found.reduce((rates, each) => rates.set(each.rate, [...(rates.get(each.rate) ?? []), each]), new Map());
    const levels = (run) => [...byRate(run.levels.filter((each) => each.rate_per_s).map(level))]
      .sort(([one], [other]) => one - other)
      .map(([rate, tries]) => ({
        rate, saturated: tries.filter((each) => each.saturated).length > tries.length / 2,
        latency_ms: middle(tries.map((each) => each.latency_ms)), ttft_ms: middle(tries.map((each) => each.ttft_ms)),
      }));
    return Data.techniques.filter((technique) => technique.load?.status === "ok").map((technique) => ({
      label: technique.label, runs: technique.load.runs.map(levels), found: technique.load.runs.map((run) => run.capacity?.per_s ?? 0),
    }));
  }

  const milliseconds = (seconds) => Numbers.known(seconds) ? 1000 * seconds : null;

  // Whether a limit is the study's own, and no stricter one is beside it: then a run's search has found its rate.
  function searched(kind, limit) {
    const { percentile, ...limits } = Data.comparison.load.settings.limits;
    return Object.entries(limits).every(([key, value]) => key === kind ? value !== null && value <= limit : value === null);
  }

  // The highest rate of a run that keeps the limit, with every lower one; the slowest run counts.
  function kept(technique, kind, limit) {
    return Math.min(...technique.runs.map((levels, run) => {
      let most = searched(kind, limit) ? technique.found[run] : 0;
      for (const level of levels) {
        if (level.saturated || level[kind] === null || level[kind] > limit) break;
        most = Math.max(most, level.rate);
      }
      return most;
    }));
  }

  function told(techniques, rate, kind, limit) {
    const found = techniques.map((technique) => ({ label: technique.label, most: kept(technique, kind, limit) }))
      .sort((one, other) => other.most - one.most);
    const what = `${Dom.find("#traffic").dataset.percentile} ${kind === "ttft_ms" ? "TTFT" : "latency"} within ${limit} ms`;
    const able = found.filter((each) => each.most >= (rate ?? 0) && each.most > 0);
    const most = (each) => `${each.label} (up to ${shown(each.most)}/s)`;
    if (rate === null) return able.length ? `${what}: ${able.map(most).join(", ")}.` : `No technique was seen to keep ${what}, at any rate that was tried.`;
    if (able.length) return `${shown(rate)} requests a second with ${what}: ${able.map(most).join(", ")}.`;
    const best = found[0];
    if (!best || !best.most) return `No technique was seen to keep ${what}, at any rate that was tried.`;
    return `No technique alone was seen to serve ${shown(rate)} requests a second with ${what}; ${best.label} serves up to ${shown(best.most)}, so it takes ${Math.ceil(rate / best.most)} of its kind side by side, requests shared out evenly.`;
  }

  function start() {
    const form = Dom.find("#traffic");
    if (!form) return;
    const techniques = measured();
    const update = () => {
      const limit = number("#traffic-limit");
      Dom.find("#traffic-answer").textContent = limit === null ? "Give a limit." : told(techniques, number("#traffic-rate"), Dom.find("#traffic-kind").value, limit);
    };
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  }

  return { start };
})();

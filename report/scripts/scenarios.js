// A scenario's limits and weights, put into the reader's own form.
const Scenarios = (() => {
  // The form knows no memory as a share of the reference's.
  function inBytes({ max_peak_memory_ratio: ratio, ...limits }) {
    const { reference, limit_values: values } = Ranking.ranking;
    if (!Numbers.known(ratio)) return limits;
    return { ...limits, max_peak_memory_gb: Math.min(ratio * values[reference].peak_memory_gb, limits.max_peak_memory_gb ?? Infinity) };
  }

  function use(name) {
    const scenario = Data.comparison.scenarios.find((each) => each.name === name);
    const answer = Dom.find("#choice");
    if (!scenario || !answer) return;
    Limits.use(inBytes(scenario.limits), scenario.weights);
    answer.focus({ preventScroll: true });
    answer.scrollIntoView({ block: "center" });
  }

  function start() {
    Dom.find("#scenarios")?.addEventListener("click", (event) => {
      const button = event.target.closest("[data-use]");
      if (button) use(button.dataset.use);
    });
  }

  return { start };
})();

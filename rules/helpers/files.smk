"""What the workflow makes in the end, for rule all."""


def generation_files():
    """Samples and record of every run of every technique."""
    return expand(
        "results/generations/{technique}/run-{run}/{file}",
        technique=TECHNIQUES,
        run=PLAN.runs,
        file=["samples.jsonl", "fixed.jsonl", "distributions.npz", "run.json"],
    )


def load_files():
    """Records of every load run, where the study asks for them."""
    return expand(
        "results/load/{technique}/run-{run}/{file}",
        technique=PLAN.loaded,
        run=PLAN.load_runs,
        file=["load.json", "requests.jsonl"],
    )


def text_score_files():
    """Scores of every technique's headlines, which are computed once however often it is timed."""
    kinds = ["text"] + ["semantic"] * bool(PLAN.encoder)
    kinds += ["entailment"] * bool(PLAN.classifier)
    kinds += ["bertscore"] * bool(PLAN.matcher)
    return expand(
        "results/metrics/{kind}/{technique}.json", kind=kinds, technique=TECHNIQUES
    )


def profile_files():
    """Operator tables and traces, where the study asks for them."""
    if not config["measurement"]["profile"]:
        return []
    return expand(
        "results/profiles/{technique}/{file}",
        technique=TECHNIQUES,
        file=["operators.csv", "trace.json.gz", "profile.json"],
    )


def metrics_files():
    """Metrics of every technique, in the report's order."""
    return expand("results/metrics/{technique}.json", technique=TECHNIQUES)


def plot_files():
    """The report's plots."""
    return expand("results/plots/{plot}.svg", plot=plan.PLOTS)

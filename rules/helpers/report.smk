"""What metrics and the comparison are told of the study."""


def previous_content():
    """Digest of the previous study's comparison, where the report shows what changed since."""
    return checked(previous.content, config["report"]["previous"])


def semantic_option(wildcards, input):
    """Command-line option for the semantic scores, where the study asks for them."""
    return f"--semantic {input.semantic}" if PLAN.encoder else ""


def entailment_option(wildcards, input):
    """Command-line option for the judgements of entailment, where the study asks for them."""
    return f"--entailment {input.entailment}" if PLAN.classifier else ""


def bertscore_option(wildcards, input):
    """Command-line option for the BERTScores, where the study asks for them."""
    return f"--bertscore {input.bertscore}" if PLAN.matcher else ""


def bertscore_options():
    """Command-line options of the BERTScore: the layer, and whether tokens are weighted."""
    asked = config["quality"]["bertscore"]
    layer = [] if asked["layer"] is None else [f"--layer {asked['layer']}"]
    return " ".join([*layer, *["--idf"] * asked["idf"]])


def parent_distributions(wildcards):
    """The distributions of a technique's parent; none where the study does not run it."""
    parent = technique_of(wildcards).parent
    return (
        [f"results/generations/{parent}/run-1/distributions.npz"]
        if parent in TECHNIQUES
        else []
    )


def distributions_option(wildcards, input):
    """Command-line option for a technique's distributions and those of its parent."""
    own = f"--distributions {input.distributions}"
    if not input.parent:
        return own
    return f"{own} --parent {technique_of(wildcards).parent} --parent-distributions {input.parent}"


def loads_of(file):
    """Files of a technique's load runs; none where it is not tested under load."""

    def files_of(wildcards):
        if wildcards.technique not in PLAN.loaded:
            return []
        return expand(
            "results/load/{technique}/run-{run}/{file}",
            technique=wildcards.technique,
            run=PLAN.load_runs,
            file=file,
        )

    return files_of


def loads_option(wildcards, input):
    """Command-line option for the load runs, where there are any."""
    return f"--loads {input.loads}" if input.loads else ""

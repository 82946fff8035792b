"""What a run is made of: inputs, code, order, machine, devices."""


def manifest(model):
    """The manifest that stands for a model."""
    return f"results/models/{model}/manifest.json"


def generation_inputs(wildcards):
    """Models and data of a technique's runs."""
    technique = TECHNIQUES[wildcards.technique]
    inputs = {
        "samples": "results/dataset/eval.jsonl",
        "target": manifest(technique.model),
    }
    if technique.draft is not None:
        inputs["draft"] = manifest(technique.draft)
    if config["generation"]["shots"] or technique.calibration_rows:
        inputs["rows"] = "results/dataset/train.jsonl"
    return inputs


def run_inputs(wildcards):
    """What a timed run needs: the models and data, and the model of the reference that takes turns with it."""
    reference = {"reference": manifest(REFERENCE.model)} if REFERENCE else {}
    return generation_inputs(wildcards) | reference


def optional_inputs(wildcards, input):
    """Command-line options for the inputs that only some techniques have."""
    names = ("draft", "rows", "reference")
    return " ".join(f"--{name} {input.get(name)}" for name in names if input.get(name))


def reference_technique():
    """Name and facets of the technique that takes turns with each one."""
    if REFERENCE is None:
        return constant(as_text(None))
    return constant(
        as_text({"technique": REFERENCE.name, "settings": REFERENCE.settings})
    )


def technique_settings(wildcards):
    """Resolved facets of a technique."""
    return as_text(TECHNIQUES[wildcards.technique].settings)


def facet_modules(technique):
    """Modules of the facets that a technique uses, for its draft too."""
    return [f"scripts.techniques.{facet}" for facet in technique.code_facets]


def generation_code(wildcards):
    """Code of a technique's runs: the timed loop, the loader, and the facets that it and the reference use."""
    stage = ["scripts.generate", "scripts.inference.worker"]
    modules = facet_modules(TECHNIQUES[wildcards.technique])
    if REFERENCE:
        modules += ["scripts.inference.reference_worker", *facet_modules(REFERENCE)]
    return code_of(*stage, *modules)(wildcards)


def profile_code(wildcards):
    """Code of a technique's profile."""
    stage = ["scripts.profile_technique", "scripts.inference.worker"]
    modules = facet_modules(TECHNIQUES[wildcards.technique])
    return code_of(*stage, *modules)(wildcards)


def turn(wildcards):
    """Priority of a run: the rounds in their order, in each the techniques in an order drawn from the seed.

    So drift of the machine falls on all techniques alike. A technique's place does not depend on what others there
    are. Priority makes nothing stale.
    """
    seed = config["measurement"]["order_seed"]
    drawn = hashlib.sha256(f"{seed}/{wildcards.run}/{wildcards.technique}".encode())
    return (len(RUNS) - int(wildcards.run) + 1) * 1000 + int(
        drawn.hexdigest(), 16
    ) % 1000


def comparable_machine():
    """What must be equal for two timings to stand in one report."""
    name = config["measurement"]["machine"]
    return as_text(
        machine.identity()
        if name == "auto"
        else {"name": name, "versions": machine.versions()}
    )


COMPARABLE_MACHINE = comparable_machine()


def uses_gpus():
    """Whether techniques run on GPUs: those of this machine, or a cluster's where the study asks for them."""
    device = config["measurement"]["device"]
    if device != "auto":
        return device == "cuda"
    return bool(leases.usable(machine.gpus()))


ON_GPUS = checked(uses_gpus)


def failed_attempts(folder):
    """When a run last failed, so that it is tried again although its files are there; they stay for the report."""

    def last(wildcards):
        path = Path(folder.format(**wildcards)) / failures.ATTEMPTS
        if not path.exists():
            return "no attempt failed"
        return f"failed at {checked(files.read_json_lines, path)[-1]['failed_at']}"

    return last


def gpus_needed(wildcards):
    """GPUs of a technique's run; none on a machine without."""
    return TECHNIQUES[wildcards.technique].processes if ON_GPUS else 0


def generation_threads(wildcards):
    """One core a process with GPUs; without, all cores, so that no other job disturbs a timing."""
    return TECHNIQUES[wildcards.technique].processes if ON_GPUS else cores()

"""What a run depends on and needs, by its wildcards."""


def technique_of(wildcards):
    """The technique of a job."""
    return TECHNIQUES[wildcards.technique]


def of_technique(function, *arguments):
    """What a function of the plan says of a job's technique."""
    return lambda wildcards: function(technique_of(wildcards), *arguments)


def generation_code(wildcards):
    """Code of a technique's runs: the timed loop, the loader, and the facets that it and the reference use."""
    stage = ["scripts.generate", "scripts.inference.worker"]
    modules = technique_of(wildcards).code_modules
    if PLAN.reference:
        modules += [
            "scripts.inference.reference_worker",
            *PLAN.reference.code_modules,
        ]
    return code_of(*stage, *modules)(wildcards)


def profile_code(wildcards):
    """Code of a technique's profile."""
    stage = ["scripts.profile_technique", "scripts.inference.worker"]
    modules = technique_of(wildcards).code_modules
    return code_of(*stage, *modules)(wildcards)


def failed_attempts(folder):
    """When a run last failed, so that it is tried again although its files are there; they stay for the report."""

    def last(wildcards):
        path = Path(folder.format(**wildcards)) / failures.ATTEMPTS
        if not path.exists():
            return "no attempt failed"
        return f"failed at {checked(files.read_json_lines, path)[-1]['failed_at']}"

    return last


def score_code(wildcards):
    """Code of a technique's metrics: the costs of its facets among it."""
    stage = [
        "scripts.score",
        *families.modules(),
        *technique_of(wildcards).cost_modules,
    ]
    return code_of(*stage, files=["config/hardware.yaml"])(wildcards)

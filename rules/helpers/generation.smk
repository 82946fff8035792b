"""What a run depends on and needs, by its wildcards."""


def technique_of(wildcards):
    """The technique of a job."""
    return TECHNIQUES[wildcards.technique]


def of_technique(function, *arguments):
    """What a function of the plan says of a job's technique."""
    return lambda wildcards: function(technique_of(wildcards), *arguments)


def code_by(modules, files=()):
    """Digests of the code that a technique's job depends on, by the plan's list of modules."""
    return lambda wildcards: code_of(*modules(technique_of(wildcards)), files=files)(
        wildcards
    )


def failed_attempts(folder):
    """When a run last failed, so that it is tried again although its files are there; they stay for the report."""

    def last(wildcards):
        path = Path(folder.format(**wildcards)) / failures.ATTEMPTS
        if not path.exists():
            return "no attempt failed"
        return f"failed at {checked(files.read_json_lines, path)[-1]['failed_at']}"

    return last

"""Params and cores of any job."""

import functools
import importlib.metadata

from snakemake.exceptions import WorkflowError

# Of a job that takes all cores of its machine, where that is a cluster's node; --set-threads says otherwise.
CORES_OF_A_CLUSTER_JOB = 4


def cores():
    """Cores of a job that takes all that there are: those of this call of Snakemake; 1 where it only lists or draws."""
    if workflow.remote_exec and (given := environment.cores_of_this_job()):
        return given
    if not workflow.local_exec:
        return CORES_OF_A_CLUSTER_JOB
    try:
        return workflow.cores or 1
    except WorkflowError:
        return 1


def minutes_of(rule):
    """After how many minutes a cluster ends a job of a rule; a job on this machine ends when it ends."""

    def minutes(wildcards, attempt):
        if workflow.local_exec:
            return cluster.LEAST_MINUTES
        seconds, _ = expected.Estimate(PLAN).seconds(rule, dict(wildcards.items()))
        return cluster.minutes(seconds, config["measurement"]["time_limit_s"], attempt)

    return minutes


def constant(value):
    """A param that is the same for every job; a function, since braces in a plain string would be wildcards."""
    return lambda wildcards: value


def code_of(*modules, files=()):
    """Digests of a stage's code, so that a change of content, and nothing else, makes it stale."""
    return constant(code_text(modules, tuple(files)))


@functools.cache
def code_text(modules, files):
    """The digests as text; techniques share their modules, so that few lists of them are computed for many jobs."""
    return plan.as_text(checked(sources.digests, *modules, files=files))


def versions_of(*libraries):
    """Versions of the libraries that a stage's results depend on."""
    return constant(
        plan.as_text(
            {library: importlib.metadata.version(library) for library in libraries}
        )
    )

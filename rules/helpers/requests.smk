"""The requests of jobs: what a job is asked, kept as a param and written to a file before the jobs begin."""


def request_of(function):
    """The param of a job's request: what the job is asked, as text, without its files."""
    return lambda wildcards: plan.as_text(function(wildcards))


def write_requests():
    """Write the request of every job that will run."""
    for job in workflow.dag.needrun_jobs():
        if "request" in dict(job.params.items()):
            named = {
                name: (
                    [str(each) for each in value]
                    if isinstance(value, list)
                    else str(value)
                )
                for name, value in job.input.items()
            }
            checked(plan.write_request, job.params.file, job.params.request, named)


def write_requests_as_module():
    """Let the workflow around this one write them: Snakemake leaves out the ``onstart`` of a module."""
    before, register = workflow._onstart, workflow.onstart

    def first(function):
        return lambda log: (write_requests(), function(log))

    workflow._onstart = first(before)
    workflow.onstart = lambda function: register(first(function))


if not workflow.modifier.is_main_snakefile():
    write_requests_as_module()

"""The requests of jobs: what a job is asked, kept as a param and written to a file before the job begins."""

# What the jobs of a rule are asked, by their wildcards; their input files are added by the stage's arguments.
REQUESTS = {
    "prepare_dataset": lambda job: PLAN.dataset_request(),
    "prepare_model": lambda job: PLAN.model_request(job.model),
    "prepare_encoder": lambda job: PLAN.encoder_request(),
    "prepare_classifier": lambda job: PLAN.classifier_request(),
    "prepare_bertscore": lambda job: PLAN.bertscore_request(),
    "generate": lambda job: PLAN.run_request(technique_of(job), int(job.run)),
    "measure_load": lambda job: PLAN.load_request(technique_of(job), int(job.run)),
    "profile": lambda job: PLAN.profile_request(technique_of(job)),
    "compare": lambda job: PLAN.comparison_request(),
}
# As a module of another workflow, and without hooks, requests are written while jobs are planned.
HOOKED = workflow.modifier.is_main_snakefile() and not getattr(
    workflow.execution_settings, "no_hooks", False
)


def request_of(rule):
    """The param of a job's request, as text and without its files."""
    return lambda wildcards: plan.as_text(REQUESTS[rule](wildcards))


def request_file(rule):
    """The param that names the file of a job's request."""

    def path(wildcards, input):
        parts = [rule, "-".join(wildcards)] if len(wildcards) else [rule]
        file = f"results/requests/{'/'.join(parts)}.json"
        if not HOOKED and not workflow.output_settings.dryrun:
            write_request(file, request_of(rule)(wildcards), input)
        return file

    return path


def write_request(file, asked, input):
    """Write a request with the input files of its job."""
    named = {
        name: [str(each) for each in value] if isinstance(value, list) else str(value)
        for name, value in input.items()
    }
    checked(plan.write_request, file, asked, named)


def write_requests():
    """Write the request of every job that will run."""
    for job in workflow.dag.needrun_jobs():
        if "request" in dict(job.params.items()):
            write_request(job.params.file, job.params.request, job.input)

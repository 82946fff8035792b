"""What the terminal is told of the steps to come."""


def tell_steps():
    """Tell which jobs will run, and how long each is expected to take."""
    estimate = expected.Estimate(PLAN)
    for job in workflow.dag.needrun_jobs():
        if not job.is_group() and job.output:
            step = told(job, estimate)
            TOLD.steps[step.job] = step


def told(job, estimate):
    """A job as the terminal knows it."""
    wildcards = dict(job.wildcards_dict)
    seconds, measured = estimate.seconds(job.rule.name, wildcards, job.benchmark)
    subject = next(iter(wildcards.values()), "")
    return Step(
        workflow.dag.jobid(job),
        job.message,
        job.rule.name,
        subject,
        seconds,
        measured,
        share_of_machine(job),
    )


def share_of_machine(job):
    """Part of the machine that a job takes, by its threads and GPUs; of a cluster, one of the jobs at a time."""
    if not workflow.local_exec:
        return 1 / max(workflow.nodes or 1, 1)
    shares = [job.threads / min(cores(), machine.usable_cores())]
    if PLAN.on_gpus and job.resources.get("gpu"):
        there = len(leases.usable(machine.gpus())) or 1
        limit = workflow.global_resources.get("gpu").value or there
        shares.append(job.resources["gpu"] / min(limit, there))
    return min(1.0, max(shares))

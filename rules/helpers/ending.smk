"""What is said before jobs are submitted, when all are done, or when one has failed."""


def check_submission():
    """End with a sentence where jobs are submitted and the study leaves open what only their nodes could tell."""
    # Not while the workflow is read, when it is not known yet; and not by os._exit, which would leave the folder locked.
    if workflow.local_exec or workflow.remote_exec:
        return
    try:
        cluster.check(config)
    except StudyError as error:
        logger.error(f"error: {STUDY.explain(error)}")
        sys.exit(1)


def conclude():
    """Say what failed, and the study's answer where this call has made its report; returns whether anything failed."""
    sentence = what_failed()
    if sentence:
        logger.error(f"error: {sentence}")
    if report_made():
        logger.info(conclusion.of_report())
    return sentence is not None


def what_failed():
    """The sentence on the rows of the report that have no figures because their runs failed."""
    paths = {str(path) for job in workflow.dag.jobs for path in job.output}
    records = sorted(
        path
        for path in paths
        if Path(path).name in ("run.json", "load.json", "profile.json")
        or Path(path).parent.name == "metrics"
    )
    return outcomes.failed_sentence(
        [files.read_json(path) for path in records if Path(path).exists()]
    )


def report_made():
    """Whether the report is among what was made."""
    made = {
        str(path)
        for job in workflow.dag.jobs
        if workflow.dag.finished(job)
        for path in job.output
    }
    return not workflow.touch and str(conclusion.REPORT) in made

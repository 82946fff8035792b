"""What is said when all jobs are done."""


def say_what_failed():
    """End with a sentence and exit status 1 where a row of the report has no figures because its run failed."""
    paths = {str(path) for job in workflow.dag.jobs for path in job.output}
    records = sorted(
        path
        for path in paths
        if Path(path).name in ("run.json", "profile.json")
        or Path(path).parent.name == "metrics"
    )
    sentence = outcomes.failed_sentence([files.read_json(path) for path in records])
    if sentence:
        print(f"error: {sentence}", file=sys.stderr, flush=True)
        sys.exit(1)

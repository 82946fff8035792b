# UdaciHeadline: what each inference optimisation gives and costs, measured on this machine and model.
#
#     snakemake --cores 4 --resources gpu=4

from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"
include: "rules/helpers/params.smk"
include: "rules/helpers/files.smk"
include: "rules/helpers/requests.smk"
include: "rules/helpers/models.smk"
include: "rules/helpers/generation.smk"
include: "rules/helpers/serving.smk"
include: "rules/helpers/report.smk"
include: "rules/helpers/terminal.smk"
include: "rules/helpers/ending.smk"
include: "rules/dataset.smk"
include: "rules/models.smk"
include: "rules/serving.smk"
include: "rules/generate.smk"
include: "rules/metrics.smk"
include: "rules/report.smk"


# On a cluster these run where Snakemake does: each takes seconds, and a place in a queue minutes.
localrules:
    all,
    prepare_dataset,
    select_samples,
    score_text,
    score,
    compare,
    plot,
    render,


onstart:
    check_submission()
    interruption.end_jobs_with(os.getpid())
    write_requests()
    tell_steps()


onsuccess:
    if conclude():
        sys.exit(1)


onerror:
    conclude()


rule all:
    default_target: True
    input:
        # Every artefact of every technique, so that none can go missing behind a finished report.
        generation_files(),
        load_files(),
        text_score_files(),
        metrics_files(),
        profile_files(),
        "results/comparison.json",
        "results/comparison.csv",
        plot_files(),
        "results/report.html",
        "results/report.md",

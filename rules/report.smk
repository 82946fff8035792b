rule compare:
    input:
        samples="results/dataset/eval.jsonl",
        manifest="results/dataset/manifest.json",
        metrics=metrics_files(),
    output:
        comparison=report(
            "results/comparison.json",
            caption="../report/captions/comparison.rst",
            category="Figures",
        ),
        table=report(
            "results/comparison.csv",
            caption="../report/captions/table.rst",
            category="Table",
        ),
    log:
        "results/logs/report/compare.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        study=constant(study_settings()),
        code=code_of("scripts.compare"),
        versions=versions_of("scipy", "numpy", "pandas"),
    shell:
        "python -m scripts.compare --study {params.study:q} --dataset {input.samples}"
        " --dataset-manifest {input.manifest} --metrics {input.metrics} --output {output.comparison}"
        " --table {output.table} 2>&1 | tee {log:q} >&2"


rule plot:
    input:
        "results/comparison.json",
    output:
        report(plot_files(), caption="../report/captions/plots.rst", category="Plots"),
    log:
        "results/logs/report/plot.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        code=code_of("scripts.plot"),
        versions=versions_of("matplotlib"),
    shell:
        "python -m scripts.plot --comparison {input} --output results/plots 2>&1 | tee {log:q} >&2"


rule render:
    input:
        comparison="results/comparison.json",
        plots=plot_files(),
    output:
        report(
            "results/report.html",
            caption="../report/captions/report.rst",
            category="Report",
        ),
    log:
        "results/logs/report/render.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        code=code_of("scripts.render", files=["report/report.html.j2", "report"]),
        versions=versions_of("jinja2", "markupsafe", "matplotlib"),
    shell:
        "python -m scripts.render --comparison {input.comparison} --plots {input.plots} --output {output}"
        " 2>&1 | tee {log:q} >&2"

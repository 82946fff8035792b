rule compare:
    input:
        dataset="results/dataset/eval.jsonl",
        dataset_manifest="results/dataset/manifest.json",
        metrics=metrics_files(),
    output:
        comparison=report(
            "results/comparison.json", "../report/captions/comparison.rst", "Figures"
        ),
        table=report(
            "results/comparison.csv", "../report/captions/table.rst", "Figures"
        ),
    log:
        "results/logs/report/compare.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        request=request_of("compare"),
        file=request_file("compare"),
        previous=previous_content(),
        code=code_of(
            "scripts.compare",
            *families.modules(),
            files=["scripts/comparison/studies/comparison.schema.yaml"],
        ),
        versions=versions_of("scipy", "numpy", "pandas"),
    message:
        "comparison"
    shell:
        "python -P -m scripts.compare --request {params.file} > {log:q} 2>&1"


rule plot:
    input:
        "results/comparison.json",
    output:
        [
            report(
                plot,
                caption=f"../report/captions/{Path(plot).stem}.rst",
                category="Plots",
                labels={"plot": Path(plot).stem.replace("_", " and ")},
            )
            for plot in plot_files()
        ],
    log:
        "results/logs/report/plot.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        code=code_of("scripts.plot"),
        versions=versions_of("matplotlib"),
    message:
        "plots"
    shell:
        "python -P -m scripts.plot --comparison {input} --output results/plots > {log:q} 2>&1"


rule render:
    input:
        comparison="results/comparison.json",
        table="results/comparison.csv",
        plots=plot_files(),
    output:
        page=report("results/report.html", "../report/captions/report.rst", "Report"),
        short=report("results/report.md", "../report/captions/short.rst", "Report"),
    log:
        "results/logs/report/render.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        code=code_of(
            "scripts.render",
            *families.modules(),
            *report_sections.modules(),
            files=["report", "scripts/techniques/**/words.yaml"],
        ),
        versions=versions_of("jinja2", "markupsafe", "matplotlib"),
    message:
        "report"
    shell:
        "python -P -m scripts.render --comparison {input.comparison} --table {input.table} --plots {input.plots}"
        " --output {output.page} --markdown {output.short} > {log:q} 2>&1"

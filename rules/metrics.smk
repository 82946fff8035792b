rule score:
    input:
        samples="results/dataset/eval.jsonl",
        generations=expand(
            "results/generations/{{technique}}/run-{run}/samples.jsonl", run=RUNS
        ),
        records=expand("results/generations/{{technique}}/run-{run}/run.json", run=RUNS),
    output:
        "results/metrics/{technique}.json",
    log:
        "results/logs/metrics/{technique}.log",
    benchmark:
        "results/benchmarks/metrics/{technique}.jsonl"
    conda:
        "../envs/udaciheadline.yaml"
    params:
        runs=lambda wildcards, input: [
            str(Path(record).parent) for record in input.records
        ],
        code=code_of("scripts.score", files=["scripts/metrics"]),
        versions=versions_of("evaluate", "rouge_score", "nltk", "scipy", "numpy"),
    shell:
        "python -m scripts.score --technique {wildcards.technique} --dataset {input.samples} --runs {params.runs}"
        " --output {output} 2>&1 | tee {log:q} >&2"

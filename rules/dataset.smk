rule prepare_dataset:
    output:
        pool="results/dataset/pool.jsonl",
        train="results/dataset/train.jsonl",
        rejects="results/dataset/rejects.jsonl",
        manifest="results/dataset/manifest.json",
    log:
        "results/logs/dataset/prepare.log",
    benchmark:
        "results/benchmarks/dataset/prepare.jsonl"
    conda:
        "../envs/udaciheadline.yaml"
    params:
        request=request_of("prepare_dataset"),
        file=request_file("prepare_dataset"),
        content=dataset_content(),
        code=dataset_code(),
    message:
        "data set"
    shell:
        "python -P -m scripts.prepare_dataset --request {params.file} > {log:q} 2>&1"


rule select_samples:
    input:
        pool="results/dataset/pool.jsonl",
    output:
        "results/dataset/eval.jsonl",
    log:
        "results/logs/dataset/select.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        samples=config["dataset"]["samples"],
        code=code_of("scripts.select_samples"),
    message:
        "evaluation samples"
    shell:
        "python -P -m scripts.select_samples --pool {input.pool} --samples {params.samples} --output {output}"
        " > {log:q} 2>&1"

rule prepare_model:
    input:
        rows=model_rows,
    output:
        "results/models/{model}/manifest.json",
    log:
        "results/logs/models/{model}.log",
    benchmark:
        "results/benchmarks/models/{model}.jsonl"
    conda:
        "../envs/udaciheadline.yaml"
    threads: training_threads()
    params:
        settings=model_settings,
        content=model_content,
        prompt=constant(config["generation"]["prompt"]),
        rows=lambda wildcards, input: f"--train {input.rows}" if input.rows else "",
        code=code_of("scripts.prepare_model"),
    shell:
        "python -m scripts.prepare_model --name {wildcards.model} --settings {params.settings:q} {params.rows}"
        " --prompt {params.prompt:q} --threads {threads} --output results/models/{wildcards.model}"
        " 2>&1 | tee {log:q} >&2"

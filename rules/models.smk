rule prepare_model:
    input:
        rows=model_rows,
    output:
        "results/models/{model}/manifest.json",
    log:
        "results/logs/models/{model}.log",
    benchmark:
        "results/benchmarks/models/{model}.jsonl"
    priority: 1000000
    conda:
        "../envs/udaciheadline.yaml"
    threads: model_threads
    resources:
        gpu=model_gpus,
    params:
        settings=model_settings,
        content=model_content,
        prompt=constant(config["generation"]["prompt"]),
        rows=lambda wildcards, input: f"--train {input.rows}" if input.rows else "",
        device=lambda wildcards: (
            f"--device {config['measurement']['device']}"
            if is_trained(wildcards.model)
            else ""
        ),
        code=code_of("scripts.prepare_model"),
    shell:
        "python -P -m scripts.prepare_model --name {wildcards.model} --settings {params.settings:q} {params.rows}"
        " {params.device} --prompt {params.prompt:q} --threads {threads} --output results/models/{wildcards.model}"
        " 2>&1 | tee {log:q} >&2"


rule prepare_encoder:
    output:
        "results/encoder/manifest.json",
    log:
        "results/logs/models/encoder.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        settings=constant(as_text(ENCODER)),
        content=encoder_content(),
        code=code_of("scripts.prepare_model"),
    shell:
        "python -P -m scripts.prepare_model --kind encoder --name encoder --settings {params.settings:q}"
        " --output results/encoder 2>&1 | tee {log:q} >&2"

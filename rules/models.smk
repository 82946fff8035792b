rule prepare_model:
    input:
        unpack(model_rows),
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
        request=request_of("prepare_model"),
        file=request_file("prepare_model"),
        content=model_content,
        code=model_code,
    shell:
        "python -P -m scripts.prepare_model --request {params.file} --threads {threads} 2>&1 | tee {log:q} >&2"


rule prepare_encoder:
    output:
        "results/encoder/manifest.json",
    log:
        "results/logs/models/encoder.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        request=request_of("prepare_encoder"),
        file=request_file("prepare_encoder"),
        content=encoder_content(),
        code=encoder_code(),
    shell:
        "python -P -m scripts.prepare_model --request {params.file} 2>&1 | tee {log:q} >&2"

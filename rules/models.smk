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
        runtime=minutes_of("prepare_model"),
    params:
        request=request_of("prepare_model"),
        file=request_file("prepare_model"),
        content=model_content,
        code=model_code,
    message:
        "model {wildcards.model}"
    shell:
        "python -P -m scripts.prepare_model --request {params.file} --threads {threads} > {log:q} 2>&1"


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
        content=judge_content(configuration.encoder),
        code=judge_code(configuration.encoder),
    message:
        "text encoder"
    shell:
        "python -P -m scripts.prepare_model --request {params.file} > {log:q} 2>&1"


rule prepare_classifier:
    output:
        "results/classifier/manifest.json",
    log:
        "results/logs/models/classifier.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        request=request_of("prepare_classifier"),
        file=request_file("prepare_classifier"),
        content=judge_content(configuration.entailment),
        code=judge_code(configuration.entailment),
    message:
        "classifier of entailment"
    shell:
        "python -P -m scripts.prepare_model --request {params.file} > {log:q} 2>&1"


rule prepare_bertscore:
    output:
        "results/bertscore/manifest.json",
    log:
        "results/logs/models/bertscore.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        request=request_of("prepare_bertscore"),
        file=request_file("prepare_bertscore"),
        content=judge_content(configuration.bertscore),
        code=judge_code(configuration.bertscore),
    message:
        "text model of the BERTScore"
    shell:
        "python -P -m scripts.prepare_model --request {params.file} > {log:q} 2>&1"

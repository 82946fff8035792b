rule generate:
    input:
        unpack(run_inputs),
    output:
        samples="results/generations/{technique}/run-{run}/samples.jsonl",
        fixed="results/generations/{technique}/run-{run}/fixed.jsonl",
        record="results/generations/{technique}/run-{run}/run.json",
    log:
        "results/logs/generate/{technique}-{run}.log",
    benchmark:
        "results/benchmarks/generate/{technique}-{run}.jsonl"
    priority: turn
    conda:
        "../envs/udaciheadline.yaml"
    threads: generation_threads
    resources:
        gpu=gpus_needed,
        time_limit_s=config["measurement"]["time_limit_s"] or 0,
    params:
        settings=technique_settings,
        generation=constant(as_text(config["generation"])),
        fixed=constant(as_text(config["measurement"]["fixed"])),
        warmup=config["measurement"]["warmup"],
        device=config["measurement"]["device"],
        threads=config["measurement"]["threads"],
        optional=optional_inputs,
        reference=reference_technique(),
        directory=subpath(output.record, parent=True),
        attempts=failed_attempts("results/generations/{technique}/run-{run}"),
        machine=constant(COMPARABLE_MACHINE),
        code=generation_code,
    shell:
        "python -P -m scripts.generate --technique {wildcards.technique} --run {wildcards.run}"
        " --settings {params.settings:q} --generation {params.generation:q} --target {input.target} {params.optional}"
        " --dataset {input.samples} --fixed {params.fixed:q} --warmup {params.warmup} --device {params.device}"
        " --reference-technique {params.reference:q} --threads {params.threads} --output {params.directory}"
        " --time-limit {resources.time_limit_s} --log {log:q} 2>&1 | tee {log:q} >&2"


rule profile:
    input:
        unpack(generation_inputs),
    output:
        operators="results/profiles/{technique}/operators.csv",
        trace="results/profiles/{technique}/trace.json.gz",
        summary="results/profiles/{technique}/profile.json",
    log:
        "results/logs/profile/{technique}.log",
    conda:
        "../envs/udaciheadline.yaml"
    threads: generation_threads
    resources:
        gpu=gpus_needed,
        time_limit_s=config["measurement"]["time_limit_s"] or 0,
    params:
        settings=technique_settings,
        generation=constant(as_text(config["generation"])),
        samples=config["measurement"]["profile"],
        warmup=config["measurement"]["warmup"],
        device=config["measurement"]["device"],
        threads=config["measurement"]["threads"],
        optional=optional_inputs,
        directory=subpath(output.summary, parent=True),
        attempts=failed_attempts("results/profiles/{technique}"),
        machine=constant(COMPARABLE_MACHINE),
        code=profile_code,
    shell:
        "python -P -m scripts.profile_technique --technique {wildcards.technique} --samples {params.samples}"
        " --settings {params.settings:q} --generation {params.generation:q} --target {input.target} {params.optional}"
        " --dataset {input.samples} --warmup {params.warmup} --device {params.device} --threads {params.threads}"
        " --output {params.directory}"
        " --time-limit {resources.time_limit_s} --log {log:q} 2>&1 | tee {log:q} >&2"

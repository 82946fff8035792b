rule choose_threads:
    input:
        model=plan.manifest(PLAN.timed_for_threads),
    output:
        plan.CHOSEN_THREADS,
    log:
        "results/logs/threads.log",
    conda:
        "../envs/udaciheadline.yaml"
    threads: cores()
    params:
        machine=constant(PLAN.comparable_machine),
        code=code_of("scripts.choose_threads", "scripts.techniques.kv_cache.facet"),
    message:
        "number of CPU threads"
    shell:
        "python -P -m scripts.choose_threads --model {input.model:q} --output {output:q} > {log:q} 2>&1"


rule generate:
    input:
        unpack(of_technique(PLAN.run_inputs)),
    output:
        samples="results/generations/{technique}/run-{run}/samples.jsonl",
        fixed="results/generations/{technique}/run-{run}/fixed.jsonl",
        distributions="results/generations/{technique}/run-{run}/distributions.npz",
        record="results/generations/{technique}/run-{run}/run.json",
    log:
        "results/logs/generate/{technique}-{run}.log",
    benchmark:
        "results/benchmarks/generate/{technique}-{run}.jsonl"
    priority: lambda job: PLAN.priority(job.technique, int(job.run))
    conda:
        "../envs/udaciheadline.yaml"
    threads: of_technique(PLAN.generation_threads, cores())
    resources:
        gpu=of_technique(PLAN.gpus_needed),
        time_limit_s=config["measurement"]["time_limit_s"] or 0,
        runtime=minutes_of("generate"),
    params:
        request=request_of("generate"),
        file=request_file("generate"),
        attempts=failed_attempts("results/generations/{technique}/run-{run}"),
        machine=constant(PLAN.comparable_machine),
        code=code_by(PLAN.run_modules),
    message:
        "run {wildcards.run} of {wildcards.technique}"
    shell:
        "python -P -m scripts.generate --request {params.file}"
        " --time-limit {resources.time_limit_s} --log {log:q} > {log:q} 2>&1"


rule measure_load:
    input:
        unpack(of_technique(PLAN.generation_inputs)),
    output:
        record="results/load/{technique}/run-{run}/load.json",
        requests="results/load/{technique}/run-{run}/requests.jsonl",
    log:
        "results/logs/load/{technique}-{run}.log",
    benchmark:
        "results/benchmarks/load/{technique}-{run}.jsonl"
    priority: lambda job: PLAN.priority(job.technique, int(job.run))
    conda:
        "../envs/udaciheadline.yaml"
    # The load comes from processes of its own.
    threads: cores()
    resources:
        gpu=of_technique(PLAN.gpus_needed),
        time_limit_s=config["measurement"]["time_limit_s"] or 0,
        runtime=minutes_of("measure_load"),
    params:
        request=request_of("measure_load"),
        file=request_file("measure_load"),
        attempts=failed_attempts("results/load/{technique}/run-{run}"),
        machine=constant(PLAN.comparable_machine),
        code=code_by(PLAN.load_modules),
    message:
        "run {wildcards.run} of {wildcards.technique} under load"
    shell:
        "python -P -m scripts.measure_load --request {params.file}"
        " --time-limit {resources.time_limit_s} --log {log:q} > {log:q} 2>&1"


rule profile:
    input:
        unpack(of_technique(PLAN.generation_inputs)),
    output:
        operators="results/profiles/{technique}/operators.csv",
        trace="results/profiles/{technique}/trace.json.gz",
        summary="results/profiles/{technique}/profile.json",
    log:
        "results/logs/profile/{technique}.log",
    conda:
        "../envs/udaciheadline.yaml"
    threads: of_technique(PLAN.generation_threads, cores())
    resources:
        gpu=of_technique(PLAN.gpus_needed),
        time_limit_s=config["measurement"]["time_limit_s"] or 0,
        runtime=minutes_of("profile"),
    params:
        request=request_of("profile"),
        file=request_file("profile"),
        attempts=failed_attempts("results/profiles/{technique}"),
        machine=constant(PLAN.comparable_machine),
        code=code_by(PLAN.profile_modules),
    message:
        "profile of {wildcards.technique}"
    shell:
        "python -P -m scripts.profile_technique --request {params.file}"
        " --time-limit {resources.time_limit_s} --log {log:q} > {log:q} 2>&1"

rule score_text:
    input:
        samples="results/dataset/eval.jsonl",
        generation="results/generations/{technique}/run-1/samples.jsonl",
        record="results/generations/{technique}/run-1/run.json",
    output:
        "results/metrics/text/{technique}.json",
    log:
        "results/logs/metrics/{technique}-text.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        run=subpath(input.record, parent=True),
        tokenizer=config["quality"]["tokenizer"],
        answer=constant(plan.as_text(config["generation"]["answer"])),
        code=code_of("scripts.score_text", files=["scripts/metrics/evaluate_modules"]),
        attempts=failed_attempts("results/metrics/failed/text/{technique}"),
        versions=versions_of("evaluate", "rouge_score", "nltk", "regex"),
    message:
        "ROUGE of {wildcards.technique}"
    shell:
        "python -P -m scripts.score_text --technique {wildcards.technique} --dataset {input.samples} --run {params.run}"
        " --tokenizer {params.tokenizer} --answer {params.answer:q} --failures results/metrics/failed/text/{wildcards.technique} --log {log:q}"
        " --output {output} > {log:q} 2>&1"


rule score_semantic:
    input:
        samples="results/dataset/eval.jsonl",
        generation="results/generations/{technique}/run-1/samples.jsonl",
        record="results/generations/{technique}/run-1/run.json",
        encoder="results/encoder/manifest.json",
    output:
        "results/metrics/semantic/{technique}.json",
    log:
        "results/logs/metrics/{technique}-semantic.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        run=subpath(input.record, parent=True),
        answer=constant(plan.as_text(config["generation"]["answer"])),
        code=code_of("scripts.score_semantic"),
        attempts=failed_attempts("results/metrics/failed/semantic/{technique}"),
        versions=versions_of("torch", "transformers", "regex"),
    message:
        "semantic score of {wildcards.technique}"
    shell:
        "python -P -m scripts.score_semantic --technique {wildcards.technique} --dataset {input.samples}"
        " --run {params.run} --model {input.encoder} --answer {params.answer:q} --failures results/metrics/failed/semantic/{wildcards.technique}"
        " --log {log:q} --output {output} > {log:q} 2>&1"


rule score_entailment:
    input:
        samples="results/dataset/eval.jsonl",
        generation="results/generations/{technique}/run-1/samples.jsonl",
        record="results/generations/{technique}/run-1/run.json",
        classifier="results/classifier/manifest.json",
    output:
        "results/metrics/entailment/{technique}.json",
    log:
        "results/logs/metrics/{technique}-entailment.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        run=subpath(input.record, parent=True),
        answer=constant(plan.as_text(config["generation"]["answer"])),
        code=code_of("scripts.score_entailment"),
        attempts=failed_attempts("results/metrics/failed/entailment/{technique}"),
        versions=versions_of("torch", "transformers", "regex"),
    message:
        "entailment of {wildcards.technique}"
    shell:
        "python -P -m scripts.score_entailment --technique {wildcards.technique} --dataset {input.samples}"
        " --run {params.run} --model {input.classifier} --answer {params.answer:q} --failures results/metrics/failed/entailment/{wildcards.technique}"
        " --log {log:q} --output {output} > {log:q} 2>&1"


rule score_bertscore:
    input:
        samples="results/dataset/eval.jsonl",
        generation="results/generations/{technique}/run-1/samples.jsonl",
        record="results/generations/{technique}/run-1/run.json",
        model="results/bertscore/manifest.json",
    output:
        "results/metrics/bertscore/{technique}.json",
    log:
        "results/logs/metrics/{technique}-bertscore.log",
    conda:
        "../envs/udaciheadline.yaml"
    params:
        run=subpath(input.record, parent=True),
        options=bertscore_options(),
        answer=constant(plan.as_text(config["generation"]["answer"])),
        code=code_of("scripts.score_bertscore"),
        attempts=failed_attempts("results/metrics/failed/bertscore/{technique}"),
        versions=versions_of("torch", "transformers", "regex"),
    message:
        "BERTScore of {wildcards.technique}"
    shell:
        "python -P -m scripts.score_bertscore --technique {wildcards.technique} --dataset {input.samples}"
        " --run {params.run} --model {input.model} {params.options} --answer {params.answer:q} --failures results/metrics/failed/bertscore/{wildcards.technique}"
        " --log {log:q} --output {output} > {log:q} 2>&1"


rule score:
    input:
        samples="results/dataset/eval.jsonl",
        text="results/metrics/text/{technique}.json",
        semantic="results/metrics/semantic/{technique}.json" if PLAN.encoder else [],
        entailment=(
            "results/metrics/entailment/{technique}.json" if PLAN.classifier else []
        ),
        bertscore="results/metrics/bertscore/{technique}.json" if PLAN.matcher else [],
        generations=expand(
            "results/generations/{{technique}}/run-{run}/{file}",
            run=PLAN.runs,
            file=["samples.jsonl", "fixed.jsonl"],
        ),
        records=expand(
            "results/generations/{{technique}}/run-{run}/run.json", run=PLAN.runs
        ),
        distributions="results/generations/{technique}/run-1/distributions.npz",
        parent=parent_distributions,
        loads=loads_of("load.json"),
        requests=loads_of("requests.jsonl"),
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
        semantic=semantic_option,
        entailment=entailment_option,
        bertscore=bertscore_option,
        distributions=distributions_option,
        loads=loads_option,
        spread_bound=config["comparison"]["spread_bound"],
        answer=constant(plan.as_text(config["generation"]["answer"])),
        code=code_by(PLAN.score_modules, files=["config/hardware.yaml"]),
        attempts=failed_attempts("results/metrics/failed/{technique}"),
        versions=versions_of("scipy", "numpy", "regex"),
    message:
        "figures of {wildcards.technique}"
    shell:
        "python -P -m scripts.score --technique {wildcards.technique} --dataset {input.samples} --runs {params.runs}"
        " --text {input.text} {params.semantic} {params.entailment} {params.bertscore}"
        " {params.distributions} {params.loads}"
        " --spread-bound {params.spread_bound} --answer {params.answer:q}"
        " --failures results/metrics/failed/{wildcards.technique} --log {log:q} --output {output}"
        " > {log:q} 2>&1"

rule engine_environment:
    output:
        "results/engines/{preset}.json",
    log:
        "results/logs/engines/{preset}.log",
    conda:
        lambda wildcards: engine_environment_file(wildcards.preset)
    params:
        program=lambda wildcards: engine_program(wildcards.preset)[0],
        package=lambda wildcards: engine_program(wildcards.preset)[1],
        code=code_of("scripts.engine_environment"),
    message:
        "environment of {wildcards.preset}"
    shell:
        "python -P -m scripts.engine_environment --program {params.program:q} --package {params.package:q}"
        " --output {output} > {log:q} 2>&1"

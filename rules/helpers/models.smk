"""What data set and models depend on."""


def dataset_content():
    """Digest of the user's own data: its content counts, not its age."""
    return checked(configuration.dataset(config).options.content)


def dataset_code():
    """Code that makes the data set: the stage, and the module and data files of its source."""
    source = configuration.dataset(config).options
    return code_of(
        "scripts.prepare_dataset", source.__module__, files=source.data_files
    )


def source_of(wildcards):
    """The source of a model, with its options."""
    return checked(configuration.model, config, wildcards.model).options


def model_content(wildcards):
    """Digest of the files outside the project that a model is made of."""
    return checked(source_of(wildcards).fingerprint)


def model_code(wildcards):
    """Code that makes a model: the stage, and the module of the model's own source."""
    return code_of("scripts.prepare_model", source_of(wildcards).__module__)(wildcards)


def model_rows(wildcards):
    """The training rows, for the sources that need them."""
    rows = {"train": "results/dataset/train.jsonl"}
    return rows if source_of(wildcards).training_rows else {}


def model_gpus(wildcards):
    """GPUs that preparing a model takes."""
    return 1 if PLAN.on_gpus and source_of(wildcards).uses_gpu else 0


def model_threads(wildcards):
    """Cores that preparing a model takes: its own number, or all where it has none or there is no room for two."""
    usable = min(cores(), machine.usable_cores())
    wanted = source_of(wildcards).cpu_threads()
    if wanted is None:
        return usable
    return wanted if usable >= 2 * wanted else cores()


def judge_content(read):
    """Digest of the files of a local text encoder or classifier."""
    judge = read(config)
    return checked(judge.options.fingerprint) if judge else ""


def judge_code(read):
    """Code that brings a text encoder or classifier into place."""
    judge = read(config)
    return code_of("scripts.prepare_model", judge.options.__module__) if judge else ""

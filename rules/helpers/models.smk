"""What data set and models depend on."""


def dataset_content():
    """Digest of the user's own data file: its content counts, not its age."""
    if config["dataset"]["source"] != "file":
        return ""
    return checked(sources.file_digest, data_file(config["dataset"]["file"]["path"]))


def model_content(wildcards):
    """Digest of the files outside the project that a model is made of."""
    settings = checked(configuration.model_settings, config, wildcards.model)
    return checked(configuration.model_checks.fingerprint, settings)


def trains_on_dataset(model):
    """Whether a model is made from the study's training rows, its tokenizer at least."""
    return config["models"][model]["source"] in ("train", "random")


def model_rows(wildcards):
    """The training rows, for the sources that need them."""
    rows = {"train": "results/dataset/train.jsonl"}
    return rows if trains_on_dataset(wildcards.model) else {}


def is_trained(model):
    """Whether a model is trained here, on a GPU where techniques run on GPUs."""
    return config["models"][model]["source"] == "train"


def model_gpus(wildcards):
    """GPUs that preparing a model takes."""
    return 1 if PLAN.on_gpus and is_trained(wildcards.model) else 0


def model_threads(wildcards):
    """Cores that preparing a model takes: a training's own number, or all where there is no room for two."""
    usable = min(cores(), machine.usable_cores())
    if not is_trained(wildcards.model):
        return usable
    wanted = config["models"][wildcards.model]["train"]["threads"]
    return wanted if usable >= 2 * wanted else cores()


def encoder_content():
    """Digest of a local text encoder's files."""
    return (
        checked(configuration.model_checks.fingerprint, PLAN.encoder)
        if PLAN.encoder
        else ""
    )

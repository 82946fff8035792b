"""Helpers of the rules: the checked study, what each job depends on, and what it needs."""

import hashlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path

# Not workflow.basedir: used as a module, that is another workflow's folder.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
sys.path.insert(0, str(ROOT))
if not str(getattr(sys.modules.get("scripts"), "__file__", "")).startswith(f"{ROOT}/"):
    # A package of the same name that another workflow imported: what it holds of it, it keeps.
    for _name in [name for name in sys.modules if name.partition(".")[0] == "scripts"]:
        del sys.modules[_name]

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from scripts.dataset.path import data_file
from scripts.foundation import failures, files
from scripts.foundation.errors import StudyError
from scripts.foundation.text import one_line
from scripts.inference import leases, machine
from scripts.study import (
    configuration,
    environment,
    interruption,
    layers,
    outcomes,
    place,
    record,
    references,
    running,
    sources,
    timing_reference,
)

environment.prepare(ROOT)
running.hold()


def checked(function, *arguments, **options):
    """Call what may find fault with the study; a fault is one sentence and exit status 1."""
    try:
        return function(*arguments, **options)
    except StudyError as error:
        said = STUDY.explain(error) if STUDY else one_line(str(error))
        print(f"error: {said}", file=sys.stderr, flush=True)
        os._exit(1)


# Read anew, since Snakemake takes the last of two equal keys, and the values in `--config a={b: 1}` for text. A module
# is given its keys by the workflow around it: they are laid over the built-in study too.
STUDY = None
_MODULE = workflow.modifier.skip_configfile
_given = dict(config) if _MODULE else {}
STUDY = checked(
    layers.read,
    [] if _MODULE else workflow.overwrite_configfiles,
    [] if _MODULE else workflow.config_settings.config_args or [],
    not _MODULE and workflow.config_settings.replace_workflow_config,
)
config.clear()
config.update(STUDY.config)
update_config(config, _given)
workflow.configfiles.append(str(layers.BUILT_IN))

if workflow.is_main_process and not workflow.output_settings.dryrun:
    checked(place.check, Path("results"))

TECHNIQUES = {
    technique.name: technique for technique in checked(configuration.check, config)
}
MODELS = configuration.models_used(list(TECHNIQUES.values()))
RUNS = range(1, config["measurement"]["repeats"] + 1)
REFERENCE = timing_reference.find(
    config["measurement"]["reference"], list(TECHNIQUES.values())
)
SWEEPS = configuration.sweeps_of(config)
REFERENCES = checked(references.read, config["references"])
ENCODER = configuration.encoder_settings(config)
PLOTS = ["latency_quality", "memory_quality", "throughput_quality"]


wildcard_constraints:
    technique=r"[A-Za-z0-9_]+",
    model=r"[A-Za-z0-9_]+",
    run=r"\d+",


def as_text(value):
    """A value as text: equal content is equal text, whatever the order of its keys.

    It is ASCII, since Snakemake prints the commands of failed jobs as they are.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False)


def cores():
    """Cores that this call of Snakemake may use; 1 where it only lists or draws."""
    try:
        return workflow.cores or 1
    except WorkflowError:
        return 1


def constant(value):
    """A param that is the same for every job; a function, since braces in a plain string would be wildcards."""
    return lambda wildcards: value


def code_of(*modules, files=()):
    """Digests of a stage's code, so that a change of content, and nothing else, makes it stale."""
    return constant(as_text(checked(sources.digests, *modules, files=tuple(files))))


def versions_of(*libraries):
    """Versions of the libraries that a stage's results depend on."""
    return constant(
        as_text({library: importlib.metadata.version(library) for library in libraries})
    )


def generation_files():
    """Samples and record of every run of every technique."""
    return expand(
        "results/generations/{technique}/run-{run}/{file}",
        technique=TECHNIQUES,
        run=RUNS,
        file=["samples.jsonl", "fixed.jsonl", "run.json"],
    )


def text_score_files():
    """Scores of every technique's headlines, which are computed once however often it is timed."""
    kinds = ["text", "semantic"] if ENCODER else ["text"]
    return expand(
        "results/metrics/{kind}/{technique}.json", kind=kinds, technique=TECHNIQUES
    )


def profile_files():
    """Operator tables and traces, where the study asks for them."""
    if not config["measurement"]["profile"]:
        return []
    return expand(
        "results/profiles/{technique}/{file}",
        technique=TECHNIQUES,
        file=["operators.csv", "trace.json.gz", "profile.json"],
    )


def metrics_files():
    """Metrics of every technique, in the report's order."""
    return expand("results/metrics/{technique}.json", technique=TECHNIQUES)


def plot_files():
    """The report's plots."""
    return expand("results/plots/{plot}.svg", plot=PLOTS)


# --- dataset ---


def dataset_settings():
    """Settings of the data set without the number of samples."""
    return constant(as_text(configuration.dataset_settings(config)))


def dataset_content():
    """Digest of the user's own data file: its content counts, not its age."""
    if config["dataset"]["source"] != "file":
        return ""
    return checked(sources.file_digest, data_file(config["dataset"]["file"]["path"]))


# --- models ---


def model_settings(wildcards):
    """Settings of a model with the options of its own source alone."""
    return as_text(checked(configuration.model_settings, config, wildcards.model))


def model_content(wildcards):
    """Digest of the files outside the project that a model is made of."""
    settings = checked(configuration.model_settings, config, wildcards.model)
    return checked(configuration.model_checks.fingerprint, settings)


def trains_on_dataset(model):
    """Whether a model is made from the study's training rows, its tokenizer at least."""
    return config["models"][model]["source"] in ("train", "random")


def model_rows(wildcards):
    """The training rows, for the sources that need them."""
    return ["results/dataset/train.jsonl"] if trains_on_dataset(wildcards.model) else []


def is_trained(model):
    """Whether a model is trained here, on a GPU where techniques run on GPUs."""
    return config["models"][model]["source"] == "train"


def model_gpus(wildcards):
    """GPUs that preparing a model takes."""
    return 1 if ON_GPUS and is_trained(wildcards.model) else 0


def model_threads(wildcards):
    """Cores that preparing a model takes: a training's own number, or all where there is no room for two."""
    usable = min(cores(), machine.usable_cores())
    if not is_trained(wildcards.model):
        return usable
    wanted = config["models"][wildcards.model]["train"]["threads"]
    return wanted if usable >= 2 * wanted else cores()


def encoder_content():
    """Digest of a local text encoder's files."""
    return checked(configuration.model_checks.fingerprint, ENCODER) if ENCODER else ""


# --- generate ---


def manifest(model):
    """The manifest that stands for a model."""
    return f"results/models/{model}/manifest.json"


def generation_inputs(wildcards):
    """Models and data of a technique's runs."""
    technique = TECHNIQUES[wildcards.technique]
    inputs = {
        "samples": "results/dataset/eval.jsonl",
        "target": manifest(technique.model),
    }
    if technique.draft is not None:
        inputs["draft"] = manifest(technique.draft)
    if config["generation"]["shots"] or technique.calibration_rows:
        inputs["rows"] = "results/dataset/train.jsonl"
    return inputs


def run_inputs(wildcards):
    """What a timed run needs: the models and data, and the model of the reference that takes turns with it."""
    reference = {"reference": manifest(REFERENCE.model)} if REFERENCE else {}
    return generation_inputs(wildcards) | reference


def optional_inputs(wildcards, input):
    """Command-line options for the inputs that only some techniques have."""
    names = ("draft", "rows", "reference")
    return " ".join(f"--{name} {input.get(name)}" for name in names if input.get(name))


def reference_technique():
    """Name and facets of the technique that takes turns with each one."""
    if REFERENCE is None:
        return constant(as_text(None))
    return constant(
        as_text({"technique": REFERENCE.name, "settings": REFERENCE.settings})
    )


def technique_settings(wildcards):
    """Resolved facets of a technique."""
    return as_text(TECHNIQUES[wildcards.technique].settings)


def facet_modules(technique):
    """Modules of the facets that a technique uses, for its draft too."""
    return [f"scripts.techniques.{facet}" for facet in technique.code_facets]


def generation_code(wildcards):
    """Code of a technique's runs: the timed loop, the loader, and the facets that it and the reference use."""
    stage = ["scripts.generate", "scripts.inference.worker"]
    modules = facet_modules(TECHNIQUES[wildcards.technique])
    if REFERENCE:
        modules += ["scripts.inference.reference_worker", *facet_modules(REFERENCE)]
    return code_of(*stage, *modules)(wildcards)


def profile_code(wildcards):
    """Code of a technique's profile."""
    stage = ["scripts.profile_technique", "scripts.inference.worker"]
    modules = facet_modules(TECHNIQUES[wildcards.technique])
    return code_of(*stage, *modules)(wildcards)


def turn(wildcards):
    """Priority of a run: the rounds in their order, in each the techniques in an order drawn from the seed.

    So drift of the machine falls on all techniques alike. A technique's place does not depend on what others there
    are. Priority makes nothing stale.
    """
    seed = config["measurement"]["order_seed"]
    drawn = hashlib.sha256(f"{seed}/{wildcards.run}/{wildcards.technique}".encode())
    return (len(RUNS) - int(wildcards.run) + 1) * 1000 + int(
        drawn.hexdigest(), 16
    ) % 1000


def comparable_machine():
    """What must be equal for two timings to stand in one report."""
    name = config["measurement"]["machine"]
    return as_text(
        machine.identity()
        if name == "auto"
        else {"name": name, "versions": machine.versions()}
    )


COMPARABLE_MACHINE = comparable_machine()


def uses_gpus():
    """Whether techniques run on GPUs: those of this machine, or a cluster's where the study asks for them."""
    device = config["measurement"]["device"]
    if device != "auto":
        return device == "cuda"
    return bool(leases.usable(machine.gpus()))


ON_GPUS = checked(uses_gpus)


def failed_attempts(folder):
    """When a run last failed, so that it is tried again although its files are there; they stay for the report."""

    def last(wildcards):
        path = Path(folder.format(**wildcards)) / failures.ATTEMPTS
        if not path.exists():
            return "no attempt failed"
        return f"failed at {checked(files.read_json_lines, path)[-1]['failed_at']}"

    return last


def gpus_needed(wildcards):
    """GPUs of a technique's run; none on a machine without."""
    return TECHNIQUES[wildcards.technique].processes if ON_GPUS else 0


def generation_threads(wildcards):
    """One core a process with GPUs; without, all cores, so that no other job disturbs a timing."""
    return TECHNIQUES[wildcards.technique].processes if ON_GPUS else cores()


# --- metrics ---


def semantic_option(wildcards, input):
    """Command-line option for the semantic scores, where the study asks for them."""
    return f"--semantic {input.semantic}" if ENCODER else ""


# --- the end ---


def say_what_failed():
    """End with a sentence and exit status 1 where a row of the report has no figures because its run failed."""
    paths = {str(path) for job in workflow.dag.jobs for path in job.output}
    records = sorted(
        path
        for path in paths
        if Path(path).name in ("run.json", "profile.json")
        or Path(path).parts[-2] == "metrics"
    )
    sentence = outcomes.failed_sentence([files.read_json(path) for path in records])
    if sentence:
        print(f"error: {sentence}", file=sys.stderr, flush=True)
        sys.exit(1)


# --- report ---


def study_settings():
    """What the comparison needs to know of the study: order, labels, parents, differences."""
    techniques = [
        {
            key: getattr(technique, key)
            for key in (
                "name",
                "label",
                "parent",
                "lossless",
                "difference",
                "settings",
                "facets",
            )
        }
        for technique in TECHNIQUES.values()
    ]
    return as_text(
        {
            "title": config["title"],
            "baseline": "baseline",
            "prompt": config["generation"]["prompt"],
            "techniques": techniques,
            "examples": config["report"]["examples"],
            "comparison": config["comparison"],
            "sweeps": SWEEPS,
            "ranking": config["ranking"],
            "scenarios": config["scenarios"],
            "scenario_order": list(config["scenarios"]),
            "references": REFERENCES,
            "configuration": record.record(config, list(TECHNIQUES.values())),
            "repeats": config["measurement"]["repeats"],
            "order_seed": config["measurement"]["order_seed"],
            "on_gpus": ON_GPUS,
        }
    )

"""The checked study, and the plan of its jobs."""

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

from snakemake.logging import logger
from snakemake.persistence import ParamsChange, PersistenceBase
from snakemake.settings.types import DeploymentMethod

from scripts.foundation import failures, files, plugins
from scripts.foundation.errors import StudyError
from scripts.foundation.text import one_line
from scripts.inference import leases, machine
from scripts.metrics import families, registry
from scripts.report import facet_words
from scripts.report import sections as report_sections
from scripts.study import (
    cluster,
    configuration,
    environment,
    expected,
    interruption,
    layers,
    outcomes,
    results_folder,
    plan,
    previous,
    references,
    running,
    sources,
    staleness,
)
from scripts.terminal import conclusion
from scripts.terminal.told import TOLD, Step

environment.prepare(ROOT)
running.hold()
# Snakemake prints all params that differ, whole; one line says what changed in them.
ParamsChange.__str__ = lambda change: staleness.sentence(
    change.only_old, change.only_new
)


def serialised(records, value, with_pandas=PersistenceBase._serialize_param_pandas):
    """A param as Snakemake records it, without an import of pandas: no value is of a library that is not loaded."""
    if "pandas" in sys.modules:
        return with_pandas(records, value)
    return records._serialize_param_builtin(value)


PersistenceBase._serialize_param_pandas = serialised


def checked(function, *arguments, **options):
    """Call what may find fault with the study or a plugin; a fault is one sentence and exit status 1."""
    try:
        return function(*arguments, **options)
    except Exception as error:
        if not isinstance(error, StudyError):
            if (said := plugins.fault(error)) is None:
                raise
            error = StudyError(said)
        said = STUDY.explain(error) if STUDY else one_line(str(error))
        # What is still to be shown, before this process ends.
        workflow.logger_manager.stop()
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
    _given,
)
config.clear()
config.update(STUDY.config)
workflow.configfiles.append(str(layers.BUILT_IN))
checked(plugins.use, config.get("plugins") or [])

if workflow.is_main_process and not workflow.output_settings.dryrun:
    checked(results_folder.check, Path("results"))

TECHNIQUES = {
    technique.name: technique for technique in checked(configuration.check, config)
}
MODELS = configuration.models_used(list(TECHNIQUES.values()))
PLAN = plan.Plan(
    config,
    TECHNIQUES,
    checked(references.read, config["references"]),
    DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method,
    tuple(STUDY.left_out),
)
checked(lambda: PLAN.on_gpus)
if workflow.is_main_process:
    for said in STUDY.left_out:
        logger.info(said)
    checked(facet_words.check, [each.settings for each in TECHNIQUES.values()])
    checked(previous.check, config["report"]["previous"], TECHNIQUES)
    if plugins.roots():
        # Not after hours, when figures are computed and shown.
        checked(registry.families)
        checked(report_sections.check)


wildcard_constraints:
    technique=r"[A-Za-z0-9_]+",
    model=r"[A-Za-z0-9_]+",
    run=r"\d+",
    preset=r"[A-Za-z0-9_]+",

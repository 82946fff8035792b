"""What was measured, in four facts, and what a study of such models can't say."""

from typing import Any

from scripts.report import machines, numbers, rows
from scripts.report.doubts import data_warning
from scripts.report.templates import general, say

DATA = {"newswire": "news that the project writes itself", "hub": "from the hub"}
COMMAND = "snakemake --cores 4 --resources gpu=4 --configfile config/studies/llama-3.2.yaml"
NO_WEIGHTS = {"train": "trained here", "random": "random weights"}


def facts(comparison: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what was measured: the models with their sizes, the data with its kind, the machine, samples and runs."""
    counted = _counts(comparison)
    if comparison["started_at"]:
        counted.append(machines.time_span(comparison["started_at"], comparison["finished_at"]))
    return [
        ("Models", [_model(model) for model in models(comparison)] or ["none was loaded"]),
        ("Data", [_data(comparison["dataset"])]),
        ("Machine", [machines.machine_line(comparison["machine"], comparison["on_gpus"])]),
        ("Measured", counted),
    ]


def models(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models that techniques used, each once."""
    found = {}
    for technique in comparison["techniques"]:
        for model in (technique["models"] or {}).values():
            if model:
                found.setdefault(model.get("name"), model)
    return list(found.values())


def limits(comparison: dict[str, Any]) -> dict[str, str] | None:
    """Return what a study with models trained here, or with random weights, can show; None where all are real.

    Returns:
        ``sentence``, and the ``command`` that measures a real model.
    """
    sources = {model.get("source") for model in models(comparison)}
    kind = next((source for source in ("random", "train") if source in sources), None)
    if kind is None:
        return None
    place = f"report/words/answer.yaml, scope, {kind}"
    return {"sentence": say(place, general("answer")["scope"][kind], {}), "command": COMMAND}


def _model(model: dict[str, Any]) -> str:
    count = model.get("parameters")
    size = f"{machines.parameter_count(count)} parameters" if count else ""
    parts = [size, model.get("dtype"), NO_WEIGHTS.get(model.get("source")), machines.stored_form(model)]
    return f"{model.get('name')}: {', '.join(str(part) for part in parts if part)}"


def _data(dataset: dict[str, Any]) -> str:
    counts = dataset["manifest"].get("counts") if isinstance(dataset["manifest"], dict) else None
    if data_warning(dataset) and isinstance(counts, dict):
        return f"{_source(dataset)}, {counts.get('rejected'):,} of whose {counts.get('read'):,} rows were rejected"
    return _source(dataset)


def _source(dataset: dict[str, Any]) -> str:
    manifest = dataset["manifest"] if isinstance(dataset["manifest"], dict) else {}
    source = manifest.get("source")
    settings = manifest.get("settings") if isinstance(manifest.get("settings"), dict) else {}
    own = settings.get(source) if isinstance(settings.get(source), dict) else {}
    if source == "file" and own.get("path"):
        return str(own["path"]).replace("\\", "/").rsplit("/", 1)[-1]
    if source == "hub" and own.get("id"):
        return f"{own['id']}, {DATA[source]}"
    return DATA.get(source, str(source or "not recorded"))


def _counts(comparison: dict[str, Any]) -> list[str]:
    runs = sorted({technique["run_count"] for technique in rows.ran(comparison["techniques"])})
    repeats = "/".join(str(count) for count in runs) or "0"
    return [
        f"{comparison['answer']['ran']} of {len(comparison['techniques'])} techniques ran",
        *(sentence.rstrip(".") for sentence in comparison.get("left_out") or []),
        f"{comparison['dataset']['samples']:,} prompts {numbers.TIMES} {repeats} run{'s' * (runs != [1])} each",
    ]

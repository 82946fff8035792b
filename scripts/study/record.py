"""The configuration that a report contains, from which the same runs can be repeated."""

from typing import Any

from scripts.study import configuration
from scripts.study.techniques import Technique, resolve

# Keys that do not affect results, and so must not make them stale.
LEFT_OUT = {"measurement": ("profile",), "report": ("previous",)}


def record(config: dict[str, Any], techniques: list[Technique]) -> dict[str, Any]:
    """Return the keys that a study's results depend on, to be merged over the built-in configuration.

    Args:
        config: the checked configuration.
        techniques: those that the study runs.

    Returns:
        The configuration without the options of sources, models and techniques that the study does not use.
    """
    used = configuration.models_used(techniques)
    return {key: _without(key, value) for key, value in config.items()} | {
        "dataset": configuration.dataset_settings(config) | {"samples": config["dataset"]["samples"]},
        "models": {name: configuration.model_settings(config, name) for name in used},
        "quality": {
            key: _of_source(value) if isinstance(value, dict) else value for key, value in config["quality"].items()
        },
        "techniques": _entries(config, techniques),
        # By name, since the order of entries is lost where keys are sorted.
        "select": config["select"] or [entry.name for entry in techniques if entry.name in config["techniques"]],
    }


def _without(key: str, value: Any) -> Any:
    left_out = LEFT_OUT.get(key)
    return {name: part for name, part in value.items() if name not in left_out} if left_out else value


def _entries(config: dict[str, Any], techniques: list[Technique]) -> dict[str, Any]:
    """Return entries of the techniques and of all that they extend, each as it is resolved.

    Resolved, so that equivalent spellings have the same key. Sweep points have no entry of their own.
    """
    entries, kept = config["techniques"], {}
    names = [technique.name for technique in techniques]
    names += [sweep["technique"] for sweep in (config["sweeps"] or {}).values()]
    for name in names:
        while name in entries and name not in kept:
            kept[name] = entries[name]
            name = entries[name].get("extends")
    found = resolve(entries, [name for name in entries if name in kept], set(config["models"]))
    return {
        technique.name: {"label": technique.label}
        | ({"extends": technique.parent} if technique.parent else {})
        | technique.difference
        for technique in found
    }


def _of_source(given: dict[str, Any]) -> dict[str, Any]:
    """Return a source with its own options alone."""
    source = given["source"]
    return {"source": source} | ({source: given[source]} if source in given else {})

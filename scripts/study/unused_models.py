"""Models that a study leaves out, or replaces in part, and the techniques that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.text import listed

Config = dict[str, Any]


def leave_out(config: Config, own: Sequence[Config], built_in: Config) -> list[str]:
    """Take out of a study what needs a model that is null, and what would train one that nobody asked for.

    A model that is null is removed, with every technique that needs it. Where a study replaces one of the built-in
    models and says nothing of another, techniques of the built-in selection that need that other one are not selected,
    unless the study names them: they would train it, and a draft would not share its tokenizer.

    Args:
        config: the merged configuration, which is changed; its form is not checked yet.
        own: what was laid over the built-in study.
        built_in: the built-in study, as it is written.

    Returns:
        One sentence a model, which says what was left out and why.

    Raises:
        StudyError: no selected technique would be left, or no layer has a model of the name that is null.
    """
    if not all(isinstance(config.get(key), dict) for key in ("models", "techniques")):
        return []
    if built_in:
        _known(config, [built_in, *own])
    said = [_without(config, name) for name in [name for name, value in config["models"].items() if value is None]]
    if built_in and not any("select" in layer for layer in own):
        said += [_not_asked(config, own, name) for name in _untouched(config, own, built_in)]
    return [sentence for sentence in said if sentence]


def _known(config: Config, layers: Sequence[Config]) -> None:
    """Check that a model that is null was one before: else its name is misspelt, and what it should leave out runs."""
    models = [layer["models"] for layer in layers if isinstance(layer.get("models"), dict)]
    there = {name for layer in models for name, value in layer.items() if value is not None}
    for name, value in config["models"].items():
        if value is None and name not in there:
            raise StudyError(
                f"models.{name} is null, and there is no model of this name to leave out; there are "
                f"{listed(sorted(map(str, there)))}."
            )


def _without(config: Config, model: str) -> str:
    """Remove a model and all that needs it."""
    del config["models"][model]
    entries, select = config["techniques"], config.get("select")
    gone = [name for name in entries if any(model in _needs(link, entries) for link in _chain(name, entries))]
    shown = [name for name in gone if name in select] if isinstance(select, list) and select else gone
    config["techniques"] = {name: entry for name, entry in entries.items() if name not in gone}
    if isinstance(config.get("sweeps"), dict):
        config["sweeps"] = {
            name: sweep
            for name, sweep in config["sweeps"].items()
            if not (isinstance(sweep, dict) and sweep.get("technique") in gone)
        }
    if isinstance(select, list) and select:
        config["select"] = [name for name in select if name not in gone]
        if not config["select"]:
            raise StudyError(f"models.{model} is null, and every selected technique needs it; select another one.")
    return f"Left out, since models.{model} is null: {listed(shown)}." if shown else ""


def _not_asked(config: Config, own: Sequence[Config], model: str) -> str:
    """Take techniques that need a built-in model out of the built-in selection, unless the study names them."""
    entries, select = config["techniques"], config.get("select")
    if not isinstance(select, list):
        return ""
    asked = {link for name in _named(config, own) for link in _chain(name, entries)}
    gone = [name for name in select if model in _needs(name, entries) and name not in asked]
    config["select"] = [name for name in select if name not in gone]
    if not gone:
        return ""
    return (
        f"Left out, since they would train the built-in model '{model}' beside the study's own: {listed(gone)}; set "
        f"models.{model}, or select them."
    )


def _untouched(config: Config, own: Sequence[Config], built_in: Config) -> list[str]:
    """Built-in models of which a study says nothing while it replaces another, the baseline's model left aside."""
    known = built_in["models"]
    touched = {name for layer in own if isinstance(layer.get("models"), dict) for name in layer["models"]}
    now = {name: model.get("source") for name, model in config["models"].items() if isinstance(model, dict)}
    if all(now.get(name, known[name]["source"]) == known[name]["source"] for name in known):
        return []
    select = config.get("select")
    first = select[0] if isinstance(select, list) and select else None
    kept = _needs(first, config["techniques"])
    return [name for name in known if name not in touched and name in now and name not in kept]


def _named(config: Config, own: Sequence[Config]) -> list[Any]:
    """Techniques that a study names itself."""
    found = [name for layer in own if isinstance(layer.get("techniques"), dict) for name in layer["techniques"]]
    for key, option in (("sweeps", None), ("load", "techniques"), ("measurement", "reference")):
        value = config.get(key)
        if not isinstance(value, dict):
            continue
        if option is None:
            found += [sweep.get("technique") for sweep in value.values() if isinstance(sweep, dict)]
        else:
            found += value[option] if isinstance(value.get(option), list) else [value.get(option)]
    return found


def _needs(name: Any, entries: Config) -> set[Any]:
    """The models that a technique loads: its own, and a draft."""
    found: dict[str, Any] = {}
    for link in _chain(name, entries):
        for facet in ("model", "speculation"):
            if facet in entries[link]:
                found.setdefault(facet, entries[link][facet])
    speculation = found.get("speculation")
    draft = speculation.get("draft") if isinstance(speculation, dict) else None
    return {each for each in (found.get("model"), draft) if isinstance(each, str)}


def _chain(name: Any, entries: Config) -> list[str]:
    """The technique, what it extends, and so on; a wrong ``extends`` is reported by the check."""
    chain: list[str] = []
    while isinstance(name, str) and isinstance(entries.get(name), dict) and name not in chain:
        chain.append(name)
        name = entries[name].get("extends")
    return chain

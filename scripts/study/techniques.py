"""Resolves the techniques: each entry is a difference from the one that it extends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import suggestion
from scripts.serving import environments
from scripts.techniques import costs, registry
from scripts.techniques.registry import load_facet

# Techniques from one to the root; each is a difference that a reader has to follow.
MAX_CHAIN = 50


@dataclass(frozen=True)
class Technique:
    """A resolved technique.

    Attributes:
        name: its key in the configuration.
        label: its name in the report; untrusted text.
        parent: the technique that it extends, or None.
        difference: the facets that it sets otherwise than its parent, resolved; ``model`` among them.
        settings: every facet that is on, resolved.
        lossless: whether it must give the same tokens as its parent.
    """

    name: str
    label: str
    parent: str | None
    difference: dict[str, Any]
    settings: dict[str, Any]
    lossless: bool

    @property
    def model(self) -> str:
        """The model that writes."""
        return self.settings["model"]

    @property
    def draft(self) -> str | None:
        """The second model that a facet needs."""
        found = (facet.companion(value) for facet, value in registry.used_facets(self.settings))
        return next((model for model in found if model is not None), None)

    @property
    def facets(self) -> list[str]:
        """The facets that are on, in the order in which they act."""
        return [facet.name for facet, _ in registry.used_facets(self.settings)]

    @property
    def code_modules(self) -> list[str]:
        """Modules that apply and prove the technique's facets, those of the second model among them."""
        return registry.code_modules(self.settings)

    @property
    def run_by(self) -> str | None:
        """The module that makes a run of its engine, where that is not the worker itself."""
        return getattr(registry.method_of("engine", self.settings), "run_by", None)

    @property
    def served(self) -> dict[str, Any] | None:
        """What a run is asked of its engine beside the settings: of a server its preset and its program."""
        engine = registry.method_of("engine", self.settings)
        return engine.asked(self.settings["engine"]) if self.run_by else None

    @property
    def engine_environment(self) -> str | None:
        """The preset whose conda environment has the program of the technique's server; None where it needs none."""
        engine = self.settings.get("engine") or {}
        preset = engine.get("preset")
        if engine.get("name") != "server" or preset is None or engine.get("executable") or engine.get("command"):
            return None
        return preset if environments.of_engine(preset) else None

    @property
    def cost_modules(self) -> list[str]:
        """Modules by which the technique's bytes and operations are computed."""
        return costs.cost_modules(self.settings)

    @property
    def calibration_rows(self) -> int:
        """Training rows that a facet must look at before it can act."""
        return max((facet.calibration_rows(value) for facet, value in registry.used_facets(self.settings)), default=0)

    @property
    def processes(self) -> int:
        """Number of processes, each with its own device."""
        return max((facet.processes(value) for facet, value in registry.used_facets(self.settings)), default=1)


def resolve(entries: dict[str, Any], select: list[str], models: set[str]) -> list[Technique]:
    """Resolve the selected techniques.

    Args:
        entries: the configuration's ``techniques``.
        select: names in the report's order; all of them, in the configuration's order, when empty.
        models: names of the models there are.

    Raises:
        StudyError: an unknown name, a cycle, or facets that don't compose; the sentence names the key.
    """
    for name in select:
        if name not in entries:
            raise StudyError(f"select names '{name}', which is no technique{suggestion(name, entries)}.")
    # Every entry is checked, also those not selected: a mistake is found before it is needed.
    resolved = {name: _resolve(name, entries, models) for name in entries}
    return [resolved[name] for name in (select or entries)]


def _resolve(name: str, entries: dict[str, Any], models: set[str]) -> Technique:
    chain = _chain(name, entries)
    settings: dict[str, Any] = {}
    inherited: dict[str, Any] = {}
    for link in reversed(chain):
        inherited = dict(settings)
        settings |= _facets(link, entries[link])
    where = f"techniques.{name}"
    settings, inherited = _settled(where, settings), _settled(where, inherited)
    on = _on(settings)
    if "model" not in on:
        raise StudyError(f"{where} has no model; set 'model' or extend a technique that does.")
    if "kv_cache" not in on:
        raise StudyError(f"{where} has no kv_cache; set 'kv_cache' or extend a technique that does.")
    for facet, value in registry.used_facets(on):
        _named(where, facet.check, value, on)
    technique = Technique(
        name=name,
        label=entries[name].get("label", name),
        parent=chain[1] if len(chain) > 1 else None,
        difference={facet: value for facet, value in settings.items() if value != inherited.get(facet)},
        settings=on,
        lossless=False,
    )
    if technique.parent is not None and {"model", "speculation"} <= set(technique.difference) and "speculation" in on:
        raise StudyError(
            f"{where} sets both model and speculation, so that it would be compared with another model than its own "
            f"target; extend a technique that runs '{technique.model}' alone."
        )
    for key, model in (("model", technique.model), ("speculation.draft", technique.draft)):
        if model is not None and model not in models:
            raise StudyError(f"{where}.{key} is '{model}', which is no model{suggestion(model, models)}.")
    lossless = technique.parent is not None and costs.is_lossless(technique.difference, on, inherited)
    return Technique(**(vars(technique) | {"lossless": lossless}))


def _on(settings: dict[str, Any]) -> dict[str, Any]:
    return {facet: value for facet, value in settings.items() if value is not None}


def _settled(where: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with each facet's value as it is beside the others."""
    on = _on(settings)
    return settings | {facet.name: _named(where, facet.settle, value, on) for facet, value in registry.used_facets(on)}


def _chain(name: str, entries: dict[str, Any]) -> list[str]:
    """The technique, its parent, and so on to the root."""
    chain = [name]
    while (parent := entries[chain[-1]].get("extends")) is not None:
        if parent not in entries:
            raise StudyError(
                f"techniques.{chain[-1]}.extends is '{parent}', which is no technique{suggestion(parent, entries)}."
            )
        if parent in chain:
            circle = " -> ".join([*chain[chain.index(parent) :], parent])
            raise StudyError(
                f"techniques.{chain[-1]}.extends closes a circle ({circle}); let one of them extend another."
            )
        if len(chain) == MAX_CHAIN:
            raise StudyError(
                f"techniques.{name}.extends begins a chain of more than {MAX_CHAIN} techniques; let it "
                "extend one that is nearer to the root."
            )
        chain.append(parent)
    return chain


def _facets(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in entry.items() if key not in ("label", "extends")}
    return {
        facet: value if facet == "model" else _named(f"techniques.{name}", load_facet(facet).resolve, value)
        for facet, value in values.items()
    }


def _named(where: str, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None

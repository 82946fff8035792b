"""Which techniques are tested under load, and what their load runs are asked."""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import suggestion
from scripts.runtime.errors import UnsupportedError
from scripts.study.techniques import Technique
from scripts.techniques import registry

NONE, AUTO, SEARCH, CLOSED = "none", "auto", "search", "closed"


def selected(config: dict[str, Any], techniques: list[Technique]) -> list[Technique]:
    """The study's techniques that are tested under load, in their order.

    Args:
        config: the configuration, its form checked.
        techniques: those that the study runs, resolved.

    Raises:
        StudyError: a name that is none of them, a technique that can't serve, or nothing that could.
    """
    asked = config["load"]["techniques"]
    if asked == NONE:
        return []
    _check(config["load"])
    if asked == AUTO:
        found = _distinct([technique for technique in techniques if not reason_against(technique)])
        if not found:
            raise StudyError(
                "load.techniques is 'auto', but none of the study's techniques can serve requests as they arrive; add "
                "one with engine: graph, or set it to none."
            )
        return found
    known = {technique.name: technique for technique in techniques}
    for name in asked:
        if name not in known:
            raise StudyError(
                f"load.techniques names '{name}', which is none of the study's techniques{suggestion(name, known)}."
            )
        if reason := reason_against(known[name]):
            raise StudyError(f"load.techniques names '{name}', which can't serve: {reason.rstrip('.')}; leave it out.")
    return [technique for technique in techniques if technique.name in asked]


def reason_against(technique: Technique) -> str | None:
    """Why a technique can't serve requests as they come, in a sentence; None where it can."""
    if technique.run_by:  # a server itself
        return None
    if not technique.settings.get("engine"):
        return "transformers' generate answers one batch after another."
    try:
        for facet, value in registry.used_facets(technique.settings):
            facet.check_served(value, technique.settings)
    except UnsupportedError as error:
        return str(error)
    return None


def _distinct(techniques: list[Technique]) -> list[Technique]:
    """Leave out those that differ from an earlier one only in how many requests are handed over together."""
    found: dict[str, Technique] = {}
    for technique in techniques:
        served = {facet: value for facet, value in technique.settings.items() if facet != "batch_size"}
        found.setdefault(repr(sorted(served.items())), technique)
    return list(found.values())


def _check(load: dict[str, Any]) -> None:
    limits = load["limits"]
    if load["arrivals"] == CLOSED:
        if not load["concurrency"]:
            raise StudyError(
                "load.arrivals is 'closed', but load.concurrency is empty; give how many requests are under way, "
                "such as [1, 8]."
            )
        return
    if load["rates"] != SEARCH:
        return
    if all(limits[key] is None for key in ("ttft_ms", "tpot_ms", "latency_ms")):
        raise StudyError(
            "load.rates is 'search', but load.limits sets none; set a limit, such as latency_ms: 500, or give a list "
            "of rates."
        )

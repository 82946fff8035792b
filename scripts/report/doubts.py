"""How far the figures can be trusted: how many techniques are flagged, for what, and whether the answer is."""

from typing import Any

from scripts.report import rows
from scripts.report.templates import general, sentences

NAMED = ("reference", "fastest", "fastest_kept", "smallest")


def summary(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict as sentences, and a line for each kind of flag with the techniques that have it."""
    techniques = comparison["techniques"]
    ran = rows.ran(techniques)
    named = _named(comparison)
    spreads = [(t["figures"]["latency_s"].get("between_run_percent"), t["label"]) for t in ran]
    spreads = sorted((entry for entry in spreads if entry[0] is not None), key=lambda entry: entry[0])
    doubted = [
        f"{technique['label']} ({', '.join(flag['text'] for flag in rows.flags(technique))})"
        for technique in named
        if technique["flags"]
    ]
    return {
        "sentences": sentences(
            "doubts", "summary", ran=len(ran), flagged=sum(bool(technique["flags"]) for technique in ran),
            spreads=spreads, worst=max(spreads, key=lambda entry: entry[0], default=None),
            middle=spreads[len(spreads) // 2][0] if spreads else None, doubted=doubted, named=named,
            interleaved=comparison["order"]["interleaved"], neighbours=_with_neighbours(ran),
            data=data_warning(comparison.get("dataset") or {}),
        ),
        "kinds": [_kind(kind, techniques) for kind in _kinds(techniques)],
    }  # fmt: skip


def _with_neighbours(techniques: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many runs had another one beside them on their machine, and how many there are."""
    runs = [run for technique in techniques for run in technique.get("runs") or []]
    during = [((run.get("conditions") or {}).get("during") or {}).get("neighbours") for run in runs]
    return sum(bool(count) for count in during), len(runs)


def data_warning(dataset: dict[str, Any]) -> str:
    """Return what the manifest warns of, such as that most rows of the data were rejected; empty where of nothing."""
    manifest = dataset.get("manifest")
    manifest = manifest if isinstance(manifest, dict) else {}
    return str(manifest.get("warning") or "")


def _named(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the techniques that the answer names."""
    if rows.no_winner(comparison):
        return []
    by_name = rows.by_name(comparison)
    best = (rows.ranked(comparison) or [{}])[0].get("technique")
    wanted = [*(comparison["answer"].get(key) for key in NAMED), best]
    return [by_name[name] for name in dict.fromkeys(wanted) if name in by_name]


def _kinds(techniques: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of flags there are, in a fixed order."""
    found, known = {flag["kind"] for technique in techniques for flag in technique["flags"] or []}, general("flags")
    return [kind for kind in known if kind in found] + sorted(found - known.keys())


def _kind(kind: str, techniques: list[dict[str, Any]]) -> dict[str, Any]:
    found = [(t, flag) for t in techniques for flag in t["flags"] or [] if flag["kind"] == kind]
    return {
        **general("flags").get(kind, {"text": kind.replace("_", " "), "meaning": ""}),
        "techniques": [{"name": t["name"], "label": t["label"], "message": flag["message"]} for t, flag in found],
    }

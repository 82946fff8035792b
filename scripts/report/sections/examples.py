"""Three prompts with what the recommended technique, its parent and the baseline wrote."""

from typing import Any

from scripts.report import answer, rows
from scripts.report.section import Section

COUNT = 3


def examples(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return three prompts, those first where the techniques differ; None where no headlines are in the file.

    Returns:
        ``prompts``: each with ``summary``, ``reference`` and ``headlines`` (``by`` whom, and the text); ``differing``:
        of how many of the ``shown`` prompts the headlines differ.
    """
    wrote, prompts = comparison["prompts"].get("wrote") or {}, comparison["prompts"].get("rows") or []
    if not comparison["uses"] or not prompts:
        return None
    by_name, labels = rows.by_name(comparison), rows.labels(comparison)
    one, _ = answer.chosen(comparison)
    wanted = [one.name, by_name[one.name]["parent"], comparison["answer"]["reference"]]
    names = [name for name in dict.fromkeys(wanted) if name in wrote]
    if not names:
        return None
    differing = [at for at in range(len(prompts)) if len({wrote[name][at] for name in names}) > 1]
    chosen = sorted([*differing, *(at for at in range(len(prompts)) if at not in set(differing))][:COUNT])
    return {
        "prompts": [_prompt(prompts[at], {labels[name]: wrote[name][at] for name in names}) for at in chosen],
        "differing": len(differing),
        "shown": len(prompts),
        "names": [labels[name] for name in names],
    }


def _prompt(row: dict[str, Any], texts: dict[str, int]) -> dict[str, Any]:
    together: dict[int, list[str]] = {}
    for label, text in texts.items():
        together.setdefault(text, []).append(label)
    return {
        "summary": row["summary"],
        "reference": row["reference"],
        "headlines": [{"by": labels, "text": row["texts"][text]["text"]} for text, labels in together.items()],
    }


SECTION = Section("examples", "What they wrote", 14, examples, within="decision", folded=False)

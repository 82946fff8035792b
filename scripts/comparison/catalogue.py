"""Every figure of a comparison: those of the metrics files, and those that only a comparison has.

``python -m scripts.comparison.catalogue`` prints docs/figures.md.
"""

from scripts.comparison import costs, matches, verdicts
from scripts.metrics import registry
from scripts.metrics.entry import Entry, Term

HEAD = """# Figures

What each figure is. The table is made from the registry (`scripts/metrics/families`, one module a family) by
`python -m scripts.comparison.catalogue > docs/figures.md`; how figures are taken, and when not to trust them, is in
[measuring.md](measuring.md). A figure's key is its name in `results/metrics/<technique>.json` and
`results/comparison.json`; bytes are MB in the CSV. Tests of one family are corrected together (Holm).
"""
COLUMNS = ("Figure", "Key", "Unit", "Better", "Column of the CSV", "Change", "Tests")


def entries() -> tuple[Entry, ...]:
    """Every figure, those of the metrics files first."""
    return (*registry.entries(), costs.COST, matches.SAME_HEADLINES, verdicts.KEPT, matches.AUDIT)


def terms() -> list[Term]:
    """What a reader of the report finds defined: what several figures share, and every column of the table."""
    shown = [entry for entry in entries() if entry.table or isinstance(entry.definition, Term)]
    return list(dict.fromkeys(entry.term for entry in shown if entry.definition))


def document() -> str:
    """Return docs/figures.md."""
    lines = [HEAD, _row(COLUMNS), _row(["---"] * len(COLUMNS))]
    defined: dict[Term, list[str]] = {}
    for entry in entries():
        change = entry.change
        change_cells = (change.key, change.family or "not tested") if change else ("", "")
        unit = {"": "", "1": "ratio"}.get(entry.unit, entry.unit)
        lines.append(_row((entry.label, f"`{entry.key}`", unit, entry.better, entry.csv, *change_cells)))
        if entry.definition:
            defined.setdefault(entry.term, []).append(f"`{entry.key}`")
    lines += ["", *(f"- **{term.title}** ({', '.join(keys)}): {term.text}" for term, keys in defined.items())]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(document(), end="")

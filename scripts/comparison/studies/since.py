"""What changed since a previous study, put into the comparison of a study."""

from typing import Any

from scripts.comparison import lower_precision
from scripts.comparison.studies import compare
from scripts.comparison.studies.judging import KIND_OF
from scripts.comparison.studies.reading import Study
from scripts.metrics import figures

METHOD = "between two studies: t over the runs of either"


def add(comparison: Study, previous: Study) -> None:
    """Add ``previous``, the comparison with the previous study, and to each technique ``since_previous``.

    The latter are figures in percent by their keys, ``since_`` before that of the figure: the changes that decide.

    Raises:
        StudyError: the two studies have no technique in common.
    """
    found = compare.compare(previous, comparison, compare.choices())
    comparison["previous"] = found
    lower_precision.add_previous(comparison["techniques"], previous["techniques"])
    rows = {row["name"]: row for row in found["techniques"]}
    for technique in comparison["techniques"]:
        technique["since_previous"] = _figures(rows[technique["name"]], found)


def _figures(row: dict[str, Any], compared: dict[str, Any]) -> dict[str, figures.Figure]:
    """Return the changes of a technique as figures, those that follow another's test among them."""
    if not row["changes"]:
        return {f"since_{key}": figures.missing("%", _absent(row)) for key in KIND_OF}
    found = {}
    for key in KIND_OF:
        both = row["changes"][key]
        change = next((one for one in both.values() if one.get("decides")), both[compared["decides"]])
        note = "; ".join(filter(None, [change.get("bound") and f"{change['bound']}", change["note"]])) or None
        found[f"since_{key}"] = figures.figure(
            change["value"],
            "%",
            compared["prompts"]["total"],
            (change["low"], change["high"]),
            METHOD if change["p_value"] is not None else None,
            note,
            verdict=change.get("verdict"),
        )
    return found


def _absent(row: dict[str, Any]) -> str:
    if row["in"] == "new":
        return "not in the previous study"
    return "asked something else in the previous study" if row["settings"] else "no figures in one of the studies"

"""How differences that were measured alone and together combine."""

from typing import Any

from scripts.comparison import interactions as squares
from scripts.report import forest, numbers, rows
from scripts.report.section import Section

FOREST = 260
COMBINED = {
    squares.MORE: "together they gain more than the parts multiplied",
    squares.LESS: "together they gain less than the parts multiplied",
    squares.AS: "no measurable difference from the parts multiplied",
}


def interactions(comparison: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return each pair of differences that was measured alone and together, in words; None where there is none."""
    labels = rows.labels(comparison)
    found = []
    axis = forest.forest([square["ratio"] for square in comparison["interactions"]], FOREST)
    for square, placed in zip(comparison["interactions"], axis["rows"], strict=True):
        figure = square["ratio"]
        combined, partner, alone, base = (labels[square[key]] for key in ("technique", "with", "alone", "base"))
        text, _ = numbers.ratio_texts(figure["value"])
        between = ""
        if figure["value"] is not None and figure["low"] is not None and figure["high"] is not None:
            between = f" ({numbers.fixed(figure['low'], 2)} to {numbers.fixed(figure['high'], 2)})"
        verdict = COMBINED.get(square["verdict"], square["verdict"] or figure["note"] or "not tested")
        share = f"{text}{between} of what the parts multiplied would take"
        if figure["value"] is None:
            share = f"no ratio: {figure['note']}"
        found.append(
            {
                "name": square["technique"],
                "combined": combined,
                "forest": placed,
                "axis": axis,
                "tone": {squares.MORE: "good", squares.LESS: "bad"}.get(square["verdict"] or "", ""),
                "sentence": f"{share}; {verdict}.",
                "parts": f"{partner} and {alone}, each alone over {base}",
                "facet": square["facet"],
                "note": figure["note"] or "",
            }
        )
    return found or None


SECTION = Section("interactions", "Interactions", 90, interactions, within="techniques")

"""A study in which every text that somebody else wrote is a given one: of data, models, configuration and machine."""

from pathlib import Path
from typing import Any

from tests.support import synthetic_runs as synthetic
from tests.support.synthetic_study import Technique, compare, write_study


def study_of(folder: Path, text: str, labels: list[str]) -> dict[str, Any]:
    """Return the comparison of a study in which every text that someone else wrote is ``text`` or one of ``labels``."""
    dataset = [row | {"summary": text, "headline": text, "category": text} for row in synthetic.make_dataset(12)]
    techniques = [
        Technique("baseline", None, text, {"model": text}, changes={"evidence": {text: {"x": [text]}}}),
        Technique("b", label=text, difference={"model": text}, changes={"generation": {"prompt": text}}),
        Technique("c", label=text, status="invalid", reason=text),
        *(Technique(f"t{number}", label=label, speed=number + 2) for number, label in enumerate(labels)),
    ]
    written = write_study(folder, techniques, runs=2, dataset=dataset)
    scenario = {"label": text, "description": text, "limits": {"min_quality_kept_percent": 50}, "weights": {}}
    written["study"] |= {"title": text, "prompt": text, "scenarios": {"here": scenario}}
    comparison = compare(written)
    comparison["techniques"][0]["models"]["target"]["name"] = text
    comparison["techniques"][1]["flags"] = [{"kind": "spread", "message": text}, {"kind": text, "message": text}]
    comparison["machine"]["cpu_model"] = text
    comparison["versions"] = {text: text}
    comparison["dataset"]["manifest"] = {text: text, "source": text, "counts": {"rejected": 1}, "rejected": {text: 1}}
    column = {"key": "x", "title": text, "unit": text, "better": "low"}
    row = {"name": text, "technique": "b", "why_none": None, "note": text, "reported": {"x": text},
           "against": {"name": text, "technique": text},
           "reported_ratio": {"x": 1.1}, "measured": {"x": 1},
           "measured_ratio": {"x": {"value": 0.5, "low": 0.4, "high": 0.6}}}  # fmt: skip
    comparison["references"] = [
        {"id": "x", "title": text, "date": text, "model": text, "dataset": text, "environment": text, "note": text,
         "faults": [text], "columns": [column], "rows": [row, row | {"technique": None, "why_none": text}],
         "choices": [{"scenario": "here", "label": text, "reported": [text], "ours": None}],
         "top_three": [{"name": text, "overall_percent": 1.0}]}
    ]  # fmt: skip
    for prompt in comparison["prompts"]["rows"]:
        prompt["texts"] = [written | {"text": text} for written in prompt["texts"]]
    return comparison

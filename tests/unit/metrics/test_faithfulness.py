"""Figures of faithfulness, and the report's list of what summaries do not have."""

from dataclasses import replace

import pytest

from scripts.foundation.errors import StudyError
from scripts.metrics import texts
from scripts.metrics.families import faithfulness
from scripts.report.sections import faithfulness as section
from tests.support import synthetic_runs as synthetic
from tests.support.report_pages import rendered, visible
from tests.support.synthetic_study import Technique, compare, write_study

HOSTILE = "</td><script>alert(1)</script> 77 Kilo"


def samples_of(dataset, headline):
    samples = synthetic.make_samples(dataset)
    for sample in samples:
        sample["headline"] = sample["text"] = headline
    return samples


def test_precision_is_of_all_entities_with_interval_and_the_references_own(dataset, metrics):
    for at, row in enumerate(dataset):
        row["headline"], row["summary"] = "Nothing to count 9", f"It was {at} in the end, of 12."
    # Twelve and the day are there for one prompt each, 12 for all.
    figure = metrics((synthetic.make_run("kv_cache"), samples_of(dataset, "12 of 77 in 3")))["figures"][
        "entity_precision"
    ]
    assert figure["value"] == pytest.approx((12 + 1) / 36)
    assert figure["low"] < figure["value"] < figure["high"]
    assert (figure["n"], figure["unit"]) == (12, "1")
    assert figure["note"] == "36 in the headlines; of the references' own 12, 8.3%"


def test_without_names_in_the_language_their_figure_says_so(dataset, metrics):
    for row in dataset:
        row["summary"] = "Der Rat der Stadt hat den Bau der Bruecke in Bonn am Montag mit Mehrheit beschlossen."
    figures = metrics((synthetic.make_run("kv_cache"), samples_of(dataset, "12 Euro")))["figures"]
    assert figures["name_precision"]["note"] == faithfulness.NO_NAMES
    assert figures["number_precision"]["value"] == 0


def test_damaged_lists_are_refused(tmp_path, dataset, read):
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))
    path = synthetic.write_text(tmp_path / "text.json", "kv_cache", dataset, folder)
    path.write_text(path.read_text().replace('"unsupported": [[]', '"unsupported": [[1]'))
    with pytest.raises(StudyError, match="'unsupported' is not a list of texts a headline"):
        texts.read_scores(str(path), read(folder), (), "score_text", (), ("unsupported",))


def test_the_report_lists_them_by_prompt_and_nothing_in_them_acts(tmp_path):
    plain = Technique("baseline", None, "Plain")
    comparison = compare(write_study(tmp_path, [plain, replace(plain, name="fast", parent="baseline", label="Fast")],
                                     count=12, runs=1))  # fmt: skip
    rows = [{"prompt": 3, "id": "<b>x", "headline": HOSTILE, "items": ["77", "<script>alert(2)</script>"]}]
    comparison["unsupported"] = {"baseline": {"count": 1, "of": 12, "rows": rows}}
    page = rendered(comparison)
    assert "<script>alert" not in page
    shown = visible(page)
    assert "Plain : 1 of 12 headlines" in shown
    assert "<script>alert(2)</script> </td><script>alert(1)</script> 77 Kilo" in shown
    assert section.faithfulness(comparison | {"unsupported": {}}) is None

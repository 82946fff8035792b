"""The registry: each figure is told once, and a metric from outside is in every file that shows figures."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from scripts.comparison import catalogue, table
from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.metrics import families, registry
from scripts.report import page, view
from scripts.study import sources
from tests.support.synthetic_study import Technique, compare, write_study

ROOT = Path(__file__).parents[3]
VOWELS = """
import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import PROMPTS, Change, Entry, Place

FIGURES = (
    Entry("vowels", "letters", "Vowels", "Vowels of a headline, here of any kind.", "low", csv="vowels_mean",
          table=Place("Letters", main=True),
          change=Change("vowels_change_percent", PROMPTS, "vowels", family="letters", words=("fewer", "more"), csv=True,
                        verdict="vowels_verdict", label="Vowels change")),
)


def by_prompt(recorded):
    return {"vowels": [sum(letter in "aeiou" for letter in sample.headline) for sample in recorded.first.samples]}


def compute(recorded):
    return figures.mean_figures({"vowels": (np.array(by_prompt(recorded)["vowels"], dtype=float), "letters")})
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Makes a plugin of a family's source, takes it up, and puts the process back after the test."""
    monkeypatch.setenv(plugins.VARIABLE, "")
    folder = tmp_path / "plugin" / "scripts" / "metrics" / "families"
    folder.mkdir(parents=True)

    def of(source):
        (folder / "letters.py").write_text(source, encoding="utf-8")
        plugins.use([str(tmp_path / "plugin")])

    yield of
    plugins.use([])
    sys.modules.pop("scripts.metrics.families.letters", None)


def test_a_metric_from_outside_is_in_every_file_that_shows_figures(plugin, tmp_path):
    plugin(VOWELS)
    techniques = [Technique("baseline"), Technique("wordy", "baseline", damage=0.9)]
    written = write_study(tmp_path / "study", techniques)
    metrics = json.loads(Path(written["metrics"][1]).read_text(encoding="utf-8"))
    figure = metrics["figures"]["vowels"]
    assert figure["unit"] == "letters"
    assert figure["low"] < figure["value"] < figure["high"]
    assert len(metrics["samples"]["vowels"]) == metrics["sample_count"]

    comparison = compare(written)
    wordy = comparison["techniques"][1]
    change = wordy["changes"]["baseline"]["figures"]["vowels_change_percent"]
    assert change["verdict"] in ("fewer", "more", "no measurable difference")
    row = list(csv.DictReader(io.StringIO(table.table(comparison))))[1]
    assert float(row["vowels_mean"]) == pytest.approx(figure["value"])
    assert row["vowels_verdict_vs_baseline"] == change["verdict"]

    shown = view.report_view(comparison)
    groups = shown["views"]["results"]["groups"]
    titles = [(group["title"], [column["name"] for column in group["columns"]]) for group in groups]
    assert ("Letters", ["Vowels"]) in titles
    text = page.page(shown, ROOT / "report" / "report.html.j2", page.Contents())
    assert "<dt>Vowels</dt><dd>Vowels of a headline, here of any kind.</dd>" in text
    assert (
        "| Vowels | `vowels` | letters | low | vowels_mean | vowels_change_percent | letters |" in catalogue.document()
    )


def test_families_from_outside_are_part_of_the_keys(plugin):
    plugin(VOWELS)
    assert "plugin:scripts/metrics/families/letters.py" in sources.digests("scripts.score", *families.modules())
    plugins.use([])
    assert {entry.key for entry in registry.entries()} & {"vowels", "latency_s"} == {"latency_s"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("FIGURES = ()", r"letters.py: a family of figures has FIGURES and compute\(recorded\); add them"),
        (VOWELS.replace('"vowels"', '"latency_s"'), r"'latency_s' too; rename it"),
        (VOWELS.replace('"vowels_mean"', '"latency_mean_s"'), r"the column of the CSV 'latency_mean_s' too; rename it"),
        (VOWELS.replace("FIGURES = (", "FIGURES = (3,"), "FIGURES holds 3, which is no Entry"),
    ],
)
def test_a_family_that_is_none_is_one_sentence(plugin, source, said):
    plugin(source)
    with pytest.raises(StudyError, match=said):
        registry.entries()


def test_a_family_computes_the_figures_that_it_tells_of(plugin, tmp_path):
    plugin(VOWELS.replace('(np.array(by_prompt(recorded)["vowels"], dtype=float), "letters")', '(np.ones(12), "B")'))
    with pytest.raises(StudyError, match="compute gives other figures or units than FIGURES"):
        write_study(tmp_path, [Technique("baseline")], count=12)


def test_the_table_in_the_docs_is_that_of_the_registry():
    told = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    assert told == catalogue.document(), "run python -m scripts.comparison.catalogue > docs/figures.md"


def test_every_figure_has_a_definition_and_names_of_its_own():
    entries = catalogue.entries()
    assert [entry.key for entry in entries if not entry.definition] == ["quality_kept"]  # told with the verdicts
    for names in ([entry.key for entry in entries], [entry.csv for entry in entries if entry.csv]):
        assert len(set(names)) == len(names)

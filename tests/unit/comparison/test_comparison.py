import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.comparison import loading, table, verdicts
from scripts.comparison.matches import divergence
from scripts.foundation.errors import StudyError
from scripts.foundation.text import DANGEROUS
from scripts.metrics import resampling
from tests.support import synthetic_runs as synthetic
from tests.support.synthetic_study import GPU, Technique, compare, everything, write_study

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return compare(write_study(tmp_path_factory.mktemp("study"), everything(), count=30, runs=3))


def row(comparison, name):
    return next(technique for technique in comparison["techniques"] if technique["name"] == name)


def small(tmp_path, techniques, **options):
    return compare(write_study(tmp_path, techniques, **({"count": 20, "runs": 3} | options)))


def test_order_is_the_studys_and_everything_is_json(whole):
    assert [technique["name"] for technique in whole["techniques"]] == [entry.name for entry in everything()]
    json.dumps(whole, allow_nan=False)


def test_signs_and_sizes_of_changes(whole):
    figures = row(whole, "kv_cache")["changes"]["baseline"]["figures"]
    assert figures["latency_change_percent"]["value"] == pytest.approx(100 * (1 / 2.4 - 1), abs=2)
    assert figures["throughput_change_percent"]["value"] == pytest.approx(140, abs=6)
    assert figures["peak_memory_change_percent"]["value"] == pytest.approx(2.5)
    assert figures["latency_change_percent"]["verdict"] == "faster"
    assert figures["quality_kept_percent_rougeL"]["value"] == pytest.approx(100)
    assert row(whole, "kv_cache")["quality_kept"]["verdict"] == "kept"


def test_a_damaged_model_is_not_said_to_keep_quality(whole):
    change = row(whole, "pruned_50")["changes"]["parent"]
    kept = change["figures"]["quality_kept_percent_rougeL"]
    assert kept["high"] < 99
    assert (change["quality_kept"]["verdict"], kept["verdict"]) == ("not kept", "worse")


def test_no_difference_is_said_to_be_none(whole):
    change = row(whole, "pruned")["changes"]["parent"]["figures"]["latency_change_percent"]
    assert change["verdict"] == verdicts.SAME


def test_failed_techniques_have_reasons_in_place_of_changes(whole):
    failed = row(whole, "tensor_parallel_4")
    change = failed["changes"]["parent"]
    assert (change["against"], change["figures"]) == ("kv_cache", None)
    assert change["reason"] == "this technique has no figures"
    assert failed["quality_kept"]["verdict"] is None
    assert failed["matches"]["reason"] == "this technique has no figures"
    assert row(whole, "baseline")["changes"]["baseline"]["reason"] == "it is the baseline"
    assert "tensor_parallel_4" not in whole["prompts"]["wrote"]
    assert failed["shapes"] is None


def test_lossless_techniques_are_checked_token_by_token(whole):
    assert row(whole, "speculative")["matches"]["lossless"] is True
    assert row(whole, "speculative")["matches"]["against"] == "target_only"
    assert row(whole, "pruned")["matches"]["lossless"] is None
    assert row(whole, "pruned")["matches"]["first_divergence"]["position"] >= 0


def test_a_lossless_technique_that_differs_is_found(tmp_path):
    wrong = Technique("kv_cache", lossless=True, damage=0.3)
    match = row(small(tmp_path, [Technique("baseline", None), wrong]), "kv_cache")["matches"]
    assert match["lossless"] is False
    assert match["same_tokens"]["count"] < 20
    assert match["first_divergence"]["id"]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"), [([1, 2], [1, 2], None), ([1, 3], [1, 2], 1), ([1], [1, 2], 1), ([], [5], 0)]
)
def test_divergence(ours, theirs, expected):
    assert divergence(ours, theirs) == expected


def test_answer_picks_among_those_that_keep_quality(whole):
    answer = whole["answer"]
    assert (answer["fastest"], answer["fastest_kept"], answer["smallest"]) == ("compiled", "compiled", "nf4")
    assert answer["ran"] == 14


def test_faster_but_worse_is_not_the_answer(tmp_path):
    techniques = [
        Technique("baseline", None),
        Technique("bad", speed=9, damage=0.9, seed=3),
        Technique("good", speed=2),
    ]
    answer = small(tmp_path, techniques)["answer"]
    assert (answer["fastest"], answer["fastest_kept"]) == ("bad", "good")


@pytest.mark.parametrize("gone", ["unsupported", "deselected"])
def test_without_a_baseline_changes_against_it_are_null_with_a_reason(tmp_path, gone):
    techniques = [Technique("kv_cache"), Technique("fast", "kv_cache", speed=2)]
    if gone == "unsupported":
        techniques.insert(0, Technique("baseline", None, status="unsupported", reason="no"))
    comparison = small(tmp_path, techniques)
    change = row(comparison, "fast")["changes"]["baseline"]
    assert change["figures"] is None
    assert "baseline" in change["reason"]
    assert comparison["baseline"]["reason"] == change["reason"]
    assert row(comparison, "fast")["changes"]["parent"]["figures"]["latency_change_percent"]["verdict"] == "faster"
    assert comparison["answer"]["fastest_kept"] is None


def test_random_weights_leave_quality_out_and_keep_speed(tmp_path):
    models = {
        "models": {
            "target": {"name": "s", "source": "random", "random_weights": True, "parameters": 9, "dtype": "float32"}
        }
    }
    techniques = [Technique("baseline", None, changes=models), Technique("fast", speed=2, changes=models)]
    figures = row(small(tmp_path, techniques), "fast")["changes"]["parent"]["figures"]
    assert figures["quality_kept_percent_rouge1"]["value"] is None
    assert figures["latency_change_percent"]["verdict"] == "faster"


def test_four_samples_give_values_without_intervals_or_verdicts(tmp_path):
    comparison = small(tmp_path, [Technique("baseline", None), Technique("fast", speed=2)], count=4)
    change = row(comparison, "fast")["changes"]["parent"]["figures"]["latency_change_percent"]
    assert change["value"] < -40
    assert change["low"] is None
    assert "too few" in change["note"]
    assert change["verdict"] == "not tested: too few prompts"


def test_no_technique_ran(tmp_path):
    comparison = small(tmp_path, [Technique("baseline", None, status="out_of_memory", reason="full")])
    assert comparison["answer"]["fastest"] is None
    assert comparison["techniques"][0]["reason"] == "full"


OTHERS = {
    "machine": {"machine": synthetic.MACHINE | {"cpu_model": "Other CPU"}},
    "GPU": {"machine": synthetic.MACHINE | {"gpus": [GPU]}},
    "version": {"versions": synthetic.VERSIONS | {"torch": "9.9.9"}},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_figures_of_other_machines_gpus_or_versions_are_refused(tmp_path, kind):
    with pytest.raises(StudyError, match="baseline and fast were not measured under the same conditions"):
        small(tmp_path, [Technique("baseline", None), Technique("fast", changes=OTHERS[kind])])


def test_files_that_do_not_belong_are_refused(tmp_path):
    written = write_study(tmp_path, [Technique("baseline", None), Technique("fast")], count=12, runs=1)
    rows = synthetic.make_dataset(12)
    with pytest.raises(StudyError, match="no metrics file was given for fast"):
        loading.read_metrics(written["metrics"][:1], written["study"], rows)
    with pytest.raises(StudyError, match="already"):
        loading.read_metrics(written["metrics"] + written["metrics"][:1], written["study"], rows)
    with pytest.raises(StudyError, match="not those of the dataset"):
        loading.read_metrics(written["metrics"], written["study"], rows[1:])
    only = written["study"] | {"techniques": written["study"]["techniques"][:1]}
    with pytest.raises(StudyError, match="not one of the study"):
        loading.read_metrics(written["metrics"], only, rows)
    with pytest.raises(StudyError, match="not JSON"):
        loading.read_study("{")


def test_holm():
    assert verdicts.holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})


def test_p_value_is_uniform_enough_and_never_zero():
    draws = np.random.default_rng(0).normal(5, 1, 999)
    assert 0 < resampling.two_sided_p(draws, 50) < 2e-5
    assert resampling.two_sided_p(draws - 3, 50) == pytest.approx(0.05, abs=0.02)
    assert resampling.two_sided_p(np.zeros(999), 50) == 1.0
    assert resampling.two_sided_p(np.linspace(-1, 1, 999), 50) == 1.0


def test_both_modes_of_all_techniques_are_corrected_together():
    def one(p_value):
        changed = {key: {"p_value": None, "low": None} for key in verdicts.tested_changes()}
        speed = ("latency_change_percent", "fixed_latency_change_percent")
        return changed | {key: {"value": -3.0, "ratio": 0.97, "p_value": p_value} for key in speed}

    compared = {"a": one(0.012), "b": one(0.013)}
    verdicts.add_verdicts(compared)
    assert compared["a"]["latency_change_percent"]["adjusted_p_value"] == pytest.approx(4 * 0.012)
    assert compared["b"]["fixed_latency_change_percent"]["verdict"] == "faster"
    compared = {"a": one(0.013), "b": one(0.013)}
    verdicts.add_verdicts(compared)
    assert compared["a"]["latency_change_percent"]["verdict"] == verdicts.SAME


def test_one_run_is_not_tested(tmp_path):
    changed = row(small(tmp_path, [Technique("baseline", None), Technique("fast", speed=2)], runs=1), "fast")
    change = changed["changes"]["parent"]["figures"]["latency_change_percent"]
    assert change["verdict"] == "not tested: one run"
    assert change["low"] < -40 < change["high"] + 20
    assert changed["measured_speedup"]["verdict"] == "not tested: one run"


ROUGE, LENGTH = "quality_kept_percent_rougeL", "output_length_change_percent"


@pytest.mark.parametrize(
    ("rouge", "length", "expected", "because"),
    [
        ((99.0, 101), (-10, 10), "kept", []),
        ((90, 98.9), (-1, 1), "not kept", [ROUGE]),
        ((95, 103), (-1, 1), "undecided", [ROUGE]),
        ((100, 101), (-11, 5), "undecided", [LENGTH]),
        ((95, 103), (-40, 40), "undecided", [ROUGE, LENGTH]),
        ((95, 103), (11, 40), "not kept", [LENGTH]),
        ((90, 98), (-40, -11), "not kept", [ROUGE, LENGTH]),
    ],
)
def test_rouge_and_length_decide_together(rouge, length, expected, because):
    changed = {
        key: {"value": sum(ends) / 2, "low": ends[0], "high": ends[1], "note": None}
        for key, ends in ((ROUGE, rouge), (LENGTH, length))
    }
    kept = verdicts.quality_kept(changed)
    assert (kept["verdict"], kept["because"]) == (expected, because)


def test_table_has_units_and_one_row_a_technique(whole):
    rows = list(csv.DictReader(io.StringIO(table.table(whole))))
    assert [line["technique"] for line in rows] == [technique["name"] for technique in whole["techniques"]]
    wanted = ["latency_mean_s", "latency_p99_s", "throughput_samples_per_s", "peak_memory_mb"]
    wanted += ["rouge1_f1", "rouge2_f1", "rougeL_f1", "rougeLsum_f1", "latency_change_percent_vs_parent"]
    assert set(wanted) <= set(rows[0])
    assert float(rows[0]["peak_memory_mb"]) == pytest.approx(419.4304)
    assert rows[11]["latency_mean_s"] == ""


def test_labels_are_no_formulas_in_the_table(tmp_path):
    label = '=HYPERLINK("http://x","y")'
    text = table.table(small(tmp_path, [Technique("baseline", None, label), Technique("b", label=' @SUM(1)\n"')]))
    labels = [line["label"] for line in csv.DictReader(io.StringIO(text))]
    assert labels == ["'" + label, "' @SUM(1)[U+000A]\""]
    assert table.inert(-5.0) == -5.0


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\u00a0=1", "\u3000@x", "\uff1d1", "\r\n-1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_quoted(text):
    assert table.inert(text).startswith("'")


def test_no_text_of_others_is_raw_in_the_table(tmp_path):
    bad = "=1 \x1b[31m \u202e \x9b \u2066 \u2028 \x00"
    failed = Technique("c", label=bad, status="invalid", reason=bad)
    comparison = small(tmp_path, [Technique("baseline", None, bad), failed])
    for technique in comparison["techniques"]:
        technique["cost_per_million"] |= {"value": 1.0, "unit": bad}
    text = table.table(comparison)
    assert not DANGEROUS.search(text)
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["label"] == row["currency"] == "'=1 [U+001B][31m [U+202E] [U+009B] [U+2066] [U+2028] [U+0000]"


def test_scoring_and_what_follows_import_no_heavy_library():
    code = (
        "import sys, scripts.score, scripts.compare, scripts.plot, scripts.render\n"
        "print([n for n in ('torch', 'transformers', 'evaluate', 'datasets', 'rouge_score') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

import csv
import io
import re

from scripts.comparison import table
from scripts.report import measured, picture, tail
from scripts.report.sections import results as results_view
from scripts.report.sections import tradeoff as tradeoff_view
from tests.support.report_pages import named, rendered, technique

# What studies of this kind report.
STUDY = {
    "latency_s", "latency_p99_s", "throughput_samples_per_s", "peak_memory_bytes",
    "rouge1", "rouge2", "rougeL", "rougeLsum",
}  # fmt: skip


def cells_of(shown, name):
    return dict(zip((head["key"] for head in shown["columns"]), named(shown["rows"], name)["cells"], strict=True))


def test_every_column_of_the_reference_studies_can_be_chosen(whole):
    shown = results_view.results(whole)
    assert {head["key"] for head in shown["columns"] if head["study"]} == STUDY - {"rougeLsum"}
    assert sum(len(group["columns"]) for group in shown["groups"]) == len(shown["columns"])
    assert len({head["name"] for head in shown["columns"]}) == len(shown["columns"])
    assert shown["main"] == sum(head["main"] for head in shown["columns"])


def test_the_first_columns_are_those_that_a_decision_needs(whole):
    shown = results_view.results(whole)
    first = [
        "latency_s", "latency_p99_s", "throughput_samples_per_s", "peak_memory_bytes", "rougeL",
        "latency_change_percent", "peak_memory_change_percent", "quality_kept",
    ]  # fmt: skip
    assert [head["key"] for head in shown["columns"] if head["main"]] == [*first[:5], "cost_per_million", *first[5:]]
    for entry in whole["techniques"]:
        entry["cost_per_million"]["value"] = None
    assert [head["key"] for head in results_view.results(whole)["columns"] if head["main"]] == first


def test_rouge_lsum_has_a_column_only_where_it_is_another_figure(whole):
    def keys():
        return {head["key"] for head in results_view.results(whole)["columns"]}

    note = "ROUGE-Lsum is ROUGE-L here, as every headline is one line; it has no column of its own."
    assert "rougeLsum" not in keys()
    assert note in results_view.results(whole)["notes"]
    technique(whole, "nf4")["figures"]["rougeLsum"]["value"] += 0.01
    assert "rougeLsum" in keys()
    assert note not in results_view.results(whole)["notes"]


def test_the_parts_of_a_cell_are_apart_also_where_it_is_read_or_copied_as_text(whole):
    joined = re.findall(
        r'[^\s>]</(?:span|bdi|a)><span class="(?:interval|under|verdict|chip|flags)[^>]*>[^<]*', rendered(whole)
    )
    assert joined == []


def test_a_cell_has_its_raw_value_and_what_it_rests_on(whole):
    figure = technique(whole, "nf4")["figures"]["latency_s"]
    cell = cells_of(results_view.results(whole), "nf4")["latency_s"]
    assert cell["value"] == figure["value"]
    assert cell["note"] == "n = 30, bootstrap"
    assert cell["interval"]
    methods = dict(results_view.results(whole)["methods"])
    assert methods["Latency"] == "n = 30; bootstrap"
    assert methods["Peak memory"] == "n = 2; no interval"


def test_changes_have_intervals_and_chips_where_a_test_spoke(whole):
    shown = results_view.results(whole)
    compiled = cells_of(shown, "compiled")
    assert (compiled["latency_change_percent"]["verdict"], compiled["latency_change_percent"]["chip"]) == (
        "faster",
        True,
    )
    assert compiled["latency_change_percent"]["text"].endswith("\N{MULTIPLICATION SIGN}")
    assert compiled["latency_change_percent"]["value"] > 1
    assert compiled["quality_kept_percent_rougeL"]["verdict"] == ""
    assert (compiled["quality_kept"]["text"], compiled["quality_kept"]["chip"]) == ("kept", True)
    assert cells_of(shown, "pruned_50")["quality_kept"]["tone"] == "bad"
    assert cells_of(shown, "baseline")["latency_change_percent"]["value"] is None


def test_the_audit_is_a_word_and_promises_nothing_for_lossy_techniques(whole):
    shown = results_view.results(whole)
    identical, lossy = (cells_of(shown, name)["lossless_audit"] for name in ("kv_cache", "pruned_50"))
    assert (identical["text"], identical["chip"], identical["tone"]) == ("same text", True, "good")
    assert (lossy["text"], lossy["chip"]) == ("may differ", False)


def test_a_technique_without_figures_keeps_its_row_and_reason(whole):
    row = named(results_view.results(whole)["rows"], "huge")
    assert row["cells"] == []
    assert row["reason"].startswith("CUDA out of memory")


def test_the_trade_off_says_its_front_and_what_it_leaves_out(whole):
    found = tradeoff_view.tradeoff(whole)
    assert [drawing["name"] for drawing in found["drawings"]] == list(picture.FILES)
    assert found["drawings"][0]["sentence"].startswith(
        "On the Pareto front (Mean latency in ms; ROUGE-L F1, mean): Comp"
    )
    assert {entry["name"]: entry["reason"] for entry in found["left_out"]} == {
        "tensor_parallel_4": "not supported here", "huge": "out of memory",
    }  # fmt: skip


def run_away(whole, name):
    """Let a technique's slowest request be one that only the length limit ended."""
    figure = technique(whole, name)["figures"]["latency_p99_s"]
    figure |= {"slowest": {"prompt": 16, "id": "0010", "run": 1, "new_tokens": 40, "runaway": True}, "runaways": 2}
    figure["slowest_ended_s"] = 0.0715


def test_too_few_prompts_for_a_p99_have_a_slowest_request_that_is_named(whole):
    run_away(whole, "kv_cache")
    shown = results_view.results(whole)
    assert next(h for h in shown["columns"] if h["key"] == "latency_p99_s")["name"] == "Slowest of 60 requests"
    cell = cells_of(shown, "kv_cache")["latency_p99_s"]
    assert cell["spread"] == "a runaway"
    assert "prompt 17, a runaway of 40 tokens; the slowest that ended by itself took 71.5 ms" in cell["note"]
    assert cells_of(shown, "compiled")["latency_p99_s"]["spread"] == ""
    notes = results_view.notes(whole["techniques"])
    assert "The slowest request ran into the length limit: prompt 17, a runaway of 40 tokens (KV cache)." in notes
    assert any(note.startswith("Slowest of 60 requests: the slowest of 60 requests, not P99") for note in notes)
    short = results_view.short(whole)
    assert "Slowest of 60 requests (ms)" in short["heads"]
    assert [row["cells"][1].endswith("(runaway)") for row in short["rows"]].count(True) == 1
    told = measured.performance(technique(whole, "kv_cache"), {})[0]
    assert "slowest of 60 requests" in told
    assert "prompt 17, a runaway of 40 tokens" in told
    (line,) = (row for row in csv.DictReader(io.StringIO(table.table(whole))) if row["technique"] == "kv_cache")
    assert (line["latency_p99_statistic"], line["latency_p99_requests"]) == ("slowest", "60")
    assert line["latency_p99_runaway"] == "prompt 17, 40 tokens"


def test_where_every_headline_runs_away_none_is_singled_out(whole):
    run_away(whole, "kv_cache")
    technique(whole, "kv_cache")["figures"]["latency_p99_s"]["slowest_ended_s"] = None
    assert cells_of(results_view.results(whole), "kv_cache")["latency_p99_s"]["spread"] == ""
    assert tail.lines(whole["techniques"]) == []


def test_with_prompts_enough_it_is_p99(whole):
    for entry in whole["techniques"]:
        entry["figures"]["latency_p99_s"]["statistic"] = "percentile"
    shown = results_view.results(whole)
    assert next(h for h in shown["columns"] if h["key"] == "latency_p99_s")["name"] == "P99 latency"
    assert "P99 latency (ms)" in results_view.short(whole)["heads"]

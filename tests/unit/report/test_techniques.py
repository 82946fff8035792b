import html
import itertools
import re

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.comparison import fronts
from scripts.report import advice, facets, picture, shapes
from scripts.report.sections import techniques as details
from scripts.report.text import inert_values
from tests.support.report_pages import REPORT, named, technique


def section(comparison, name):
    return named(details.techniques(inert_values(comparison))["techniques"], name)


def told(comparison, name, title):
    return " ".join(next(part for part in section(comparison, name)["measured"] if part["title"] == title)["sentences"])


def page(comparison):
    environment = Environment(
        loader=FileSystemLoader(REPORT),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    comparison = inert_values(comparison)
    return environment.get_template("partials/techniques.html.j2").render(view=details.techniques(comparison))


def change(comparison, name, key):
    return technique(comparison, name)["changes"]["parent"]["figures"][key]


def verdicts(comparison, name, latency, throughput, kept="kept", memory=0.0):
    """Set what the tests of a technique against its parent say, its peak memory in percent, and no verdict on ROUGE."""
    change(comparison, name, "latency_change_percent")["verdict"] = latency
    change(comparison, name, "throughput_change_percent")["verdict"] = throughput
    change(comparison, name, "peak_memory_change_percent")["value"] = memory
    change(comparison, name, "quality_kept_percent_rougeL")["verdict"] = "no measurable difference"
    technique(comparison, name)["changes"]["parent"]["quality_kept"]["verdict"] = kept
    technique(comparison, name)["matches"]["audit"]["verdict"] = "other"


SAME = "no measurable difference"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (("faster", "higher"), "Use it rather than KV cache: it is faster and serves more samples a second"),
        (("slower", "lower"), "No gain shown over KV cache: it is slower and serves fewer"),
        ((SAME, SAME), "No gain shown over KV cache, and no loss: quality is kept."),
        ((None, None), "Neither for nor against it: its speed against KV cache was not tested."),
        (("not tested: one run",) * 2, "Neither for nor against it: its speed against KV cache was not tested."),
        (
            (None, None, "kept", -20.0),
            "Neither for nor against it: its speed against KV cache was not tested, though it has a smaller peak",
        ),
        (("slower", "higher"), "A trade: against KV cache it serves more samples a second, but is slower."),
        (
            ("faster", "higher", "not kept"),
            "A trade: against KV cache it is faster and serves more samples a second, but does not keep",
        ),
        (("faster", "higher", "undecided"), "Quality undecided: more prompts would tell."),
        (
            ("slower", "lower", "kept", -20.0),
            "A trade: against KV cache it has a smaller peak memory, but is slower and serves fewer",
        ),
        (("faster", "higher", "kept", 4.0), "Use it rather than KV cache"),
        (("faster", "higher", "kept", 30.0), "but has a larger peak memory."),
    ],
)
def test_the_advice_follows_the_verdicts(whole, outcome, words):
    verdicts(whole, "nf4", *outcome)
    assert words in told(whole, "nf4", "Summary")


def test_the_words_of_performance_are_those_of_the_tests(whole):
    for verdict in ("faster", "slower", SAME):
        change(whole, "nf4", "latency_change_percent")["verdict"] = verdict
        sentence = next(s for s in told(whole, "nf4", "Performance").split(". ") if "Against KV cache" in s)
        assert re.search(rf"speed-up [\d.]+\S* \(\S+\), {verdict}[^;]*; samples/s", sentence)
        others = {"faster", "slower"} - {verdict}
        assert not any(word in sentence.split(";")[0] for word in others)


def test_quality_that_was_not_measured_is_not_judged(whole):
    entry = technique(whole, "nf4")
    entry["figures"]["rougeL"] |= {"value": None, "low": None, "high": None, "note": "random weights"}
    for kind in ("parent", "baseline"):
        entry["changes"][kind]["quality_kept"] = {"verdict": None, "reason": ""}
        entry["changes"][kind]["figures"]["quality_kept_percent_rougeL"]["verdict"] = None
    assert told(whole, "nf4", "Quality").startswith("Quality was not measured: random weights.")
    assert "Its quality was not measured or not compared" in told(whole, "nf4", "Summary")


def test_the_words_drawing_and_sentence_have_one_pareto_front(whole):
    plot = picture.plot_of(whole, "latency_s")
    sentence = picture.front_sentence(plot)
    labels = {entry["label"]: entry["name"] for entry in whole["techniques"]}
    places = {labels[point.label]: fronts.place(point.chance) for point in plot.points}
    assert {"firm", "off"} <= set(places.values())
    for point in plot.points:
        summary, where = told(whole, labels[point.label], "Summary"), places[labels[point.label]]
        assert ("Nothing is both faster and" in summary) == (where == "firm")
        assert ("Perhaps nothing is both faster and" in summary) == (where == "possible")
        assert ("behind in ROUGE-L" in summary) == (where == "off")
        assert (f"{point.label} (" in sentence) == (where != "off")


def test_a_parallel_technique_gains_by_what_each_device_needs(whole):
    verdicts(whole, "pipeline_parallel", "slower", "lower", memory=50.0)
    entry, parent = technique(whole, "pipeline_parallel"), technique(whole, "kv_cache")
    entry["smallest_gpu"] |= {"devices": 2, "needed_bytes": 0.6 * parent["smallest_gpu"]["needed_bytes"]}
    summary = told(whole, "pipeline_parallel", "Summary")
    assert "A trade: against KV cache it needs less memory on each device, but is slower" in summary
    entry["smallest_gpu"]["needed_bytes"] = parent["smallest_gpu"]["needed_bytes"]
    assert "A trade" not in told(whole, "pipeline_parallel", "Summary")


def test_every_technique_has_two_sentences_and_more_of_what_it_keeps(whole):
    for entry in whole["techniques"]:
        assert len(facets.what(entry, whole)) >= 2
    assert "draft" in " ".join(facets.what(technique(whole, "target_only"), whole))
    assert "4-bit weights" in facets.what(technique(whole, "nf4_batch"), whole)[-1]


def test_what_did_not_run_says_why_and_what_it_needs(whole):
    row = section(whole, "tensor_parallel_4")
    assert row["reason"] == "tensor parallelism over 4 GPUs needs 4 GPUs and this machine has 1"
    assert row["needed"] == "It would need 4 devices and a model that can be split over them."
    assert "measured" not in row
    assert "more memory a device" in section(whole, "huge")["needed"]
    assert "agrees with its settings" in advice.needed(technique(whole, "nf4") | {"status": "invalid"})


def test_distributions_have_one_scale_and_the_parent_behind(whole):
    kv, baseline = section(whole, "kv_cache")["shapes"], section(whole, "baseline")["shapes"]
    assert kv["latency"]["other"] == baseline["latency"]["own"]
    assert baseline["latency"]["other"] == ""
    # Thirty prompts have no P99.
    assert [mark["name"] for mark in kv["latency"]["marks"]] == ["P50"]
    technique(whole, "kv_cache")["figures"]["latency_p99_s"]["statistic"] = "percentile"
    kv = section(whole, "kv_cache")["shapes"]
    assert [mark["name"] for mark in kv["latency"]["marks"]] == ["P50", "P99"]
    assert kv["latency"]["marks"][0]["x"] < kv["latency"]["marks"][1]["x"] < baseline["latency"]["marks"][0]["x"]
    own = technique(whole, "kv_cache")["shapes"]["timeline"]["token_times_s"]
    assert kv["timeline"]["rows"][0]["path"].count("M") == len(own)
    assert len(kv["timeline"]["rows"]) == 2
    technique(whole, "baseline")["shapes"]["timeline"]["prompt_id"] = "another"
    assert len(section(whole, "kv_cache")["shapes"]["timeline"]["rows"]) == 1


def test_accepted_tokens_stand_beside_the_break_even(whole):
    per_round, per_headline = section(whole, "speculative")["shapes"]["acceptance"]
    assert sum(int(bar["title"].split(": ")[1]) for bar in per_headline["bars"]) == 30
    even = whole["break_even"][0]["break_even_acceptance"]["value"]
    assert per_headline["mark"]["x"] == pytest.approx(4 + 346 * even, abs=0.1)
    assert section(whole, "kv_cache")["shapes"]["acceptance"] == []
    assert "rounds by accepted tokens" in per_round["text"]


def test_without_shapes_there_are_no_figures_and_no_fault(whole):
    for entry in whole["techniques"]:
        entry["shapes"] = None
    assert shapes.span(whole["techniques"]) is None
    assert section(whole, "kv_cache")["shapes"]["latency"] is None
    assert '<svg class="shape"' not in page(whole)


def test_the_section_is_compact_in_order_and_all_in_it_has_words(whole):
    source = page(whole)
    assert len(source.encode()) < 40_000 * len(whole["techniques"])
    levels = [int(level) for level in re.findall(r"<h(\d)", source)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert source.count('<svg class="shape"') == len(
        re.findall(r'<svg class="shape"[^>]*aria-label="[^"]{20,}', source)
    )
    assert source.count('<details class="technique"') == len(whole["techniques"])
    assert "<details open" not in source
    text = html.unescape(re.sub(r"<[^>]*>", " ", source))
    assert not re.search(r"\bNone\b|\bnan\b|Undefined", text.replace("not None", ""))


def test_how_the_number_of_threads_was_chosen_is_told(whole):
    chosen = {"threads": 1, "seconds": {"1": 0.0186, "2": 0.7184}, "rounds": 7, "new_tokens": 8}
    technique(whole, "kv_cache")["threads_chosen"] = chosen
    groups = {group["title"]: dict(group["pairs"]) for group in section(whole, "kv_cache")["groups"]}
    assert groups["Processes"]["threads chosen"].endswith("with each number (1: 18.6 ms, 2: 718.4 ms)")
    assert "threads chosen" not in page(whole).split('id="technique-int8"')[1]

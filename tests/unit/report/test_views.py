import re

import pytest

from scripts.comparison import two_levels
from scripts.metrics import figures
from scripts.report import curves, drawing, templates, view
from tests.support import synthetic_runs as synthetic
from tests.support.report_pages import named, rendered, technique, visible
from tests.support.synthetic_study import Technique


def read(comparison):
    """Return the text of the page, as a reader sees it, and its source."""
    small = [
        drawing.inert_svg(svg, f"s{n}-") if (svg := curves.svg(comparison, sweep)) else ""
        for n, sweep in enumerate(comparison["sweeps"])
    ]
    source = rendered(comparison, curves=small)
    return visible(source), source


def column(shown, key):
    return next(number for number, head in enumerate(shown["columns"]) if head["key"] == key)


def test_the_spread_between_runs_stands_beside_both_modes(whole):
    technique(whole, "kv_cache")["figures"]["latency_s"]["between_run_percent"] = 1.234
    technique(whole, "kv_cache")["figures"]["fixed_latency_s"]["between_run_percent"] = 5.678
    shown = view.report_view(whole)["views"]["results"]
    cells = named(shown["rows"], "kv_cache")["cells"]
    assert [cell["spread"] for cell in cells if cell["spread"]] == [
        "±1.2%",
        "±5.7%",
        "±0.9%",
    ]  # the last of requests a second
    assert shown["columns"][column(shown, "fixed_latency_s")]["name"] == "Latency, 16 tokens"


def test_one_run_has_no_spread_and_its_speed_is_not_tested(small):
    comparison = small([Technique("baseline", None), Technique("fast", speed=3)], runs=1)
    shown = view.report_view(comparison)["views"]
    assert not [cell for row in shown["results"]["rows"] for cell in row["cells"] if cell["spread"]]
    cells = named(shown["changes"][0]["rows"], "fast")["cells"]
    assert cells[0]["verdict"] == "not tested: one run"
    assert cells[0]["interval"]
    assert "not tested: one run" in read(comparison)[0]


def test_flags_are_chips_with_the_sentence_and_a_list(whole):
    sentence = "Run 1 of 2: other programs used 23% of the CPU (more than 10%)."
    text, source = read(whole)
    assert f'title="{sentence}">CPU shared' in source
    assert f"Pruned 50% : {sentence}" in text
    for entry in whole["techniques"]:
        entry["flags"] = []
    assert "None: no run was flagged" in read(whole)[0]


def test_figures_without_a_value_say_why_once(whole):
    notes = view.report_view(whole)["views"]["results"]["notes"]
    assert "Energy a headline: This machine shows no energy counters." in notes
    assert "Semantic similarity, BERTScore: not scored: the study names no model for it." in notes, notes
    technique(whole, "nf4")["figures"]["fixed_latency_s"] = figures.missing("s", "the fixed mode was off")
    assert "Latency, fixed length: the fixed mode was off (4-bit NF4)." in read(whole)[0]


def test_cost_is_shown_in_its_currency(whole):
    shown = view.report_view(whole)["views"]["results"]
    place = column(shown, "cost_per_million")
    assert shown["columns"][place]["unit"] == "EUR"
    # 3.6 an hour is 0.001 a second: a million samples cost 1,000 / (samples a second).
    throughput = technique(whole, "baseline")["figures"]["throughput_samples_per_s"]["value"]
    cell = named(shown["rows"], "baseline")["cells"][place]
    assert cell["value"] == pytest.approx(1000 / throughput)
    assert float(cell["text"].replace(",", "")) == pytest.approx(1000 / throughput, rel=0.02)


def test_changes_are_factors_with_verdicts_against_both_references(whole):
    figure = technique(whole, "nf4")["changes"]["baseline"]["figures"]["fixed_latency_change_percent"]
    figure |= {"ratio": 0.5, "ratio_low": 0.45, "ratio_high": 0.56, "verdict": "faster", "adjusted_p_value": 0.0123}
    parent, baseline = view.report_view(whole)["views"]["changes"]
    assert (parent["kind"], baseline["kind"]) == ("parent", "baseline")
    cell = named(baseline["rows"], "nf4")["cells"][baseline["keys"].index("Speed-up, fixed length")]
    assert (cell["text"], cell["interval"], cell["verdict"], cell["tone"]) == (
        "2.00\N{MULTIPLICATION SIGN}", "1.79\N{EN DASH}2.22", "faster", "good",
    )  # fmt: skip
    assert "p = 0.012 after Holm's correction" in cell["note"]
    # What stands behind a cell can also be read without pointing at it.
    assert named(baseline["tested"], "nf4")["p_values"][baseline["keys"].index("Speed-up, fixed length")] == "0.012"
    assert any("inside rounds" in method for method in baseline["methods"])
    assert named(parent["rows"], "baseline")["reason"] == "it has no parent"


def test_worse_likelihood_is_a_signed_difference(whole):
    figure = technique(whole, "nf4")["changes"]["parent"]["figures"]["reference_nll_change"]
    figure |= {"value": 0.125, "low": 0.12, "high": 0.13, "verdict": "worse"}
    table = view.report_view(whole)["views"]["changes"][0]
    cell = named(table["rows"], "nf4")["cells"][table["keys"].index("Reference NLL")]
    assert (cell["text"], cell["interval"], cell["tone"]) == ("+0.125", "+0.120 to +0.130", "bad")


def test_quality_verdict_has_its_sentence(whole):
    kept = technique(whole, "pruned")["changes"]["parent"]["quality_kept"]
    assert kept["verdict"] == "not kept"
    row = named(view.report_view(whole)["views"]["changes"][0]["rows"], "pruned")
    assert row["quality"] == {"verdict": "not kept", "tone": "bad", "reason": kept["reason"], "same_text": ""}
    assert f"Pruned 30% : not kept . {kept['reason']}" in read(whole)[0]


def test_the_audit_does_not_apply_to_a_servers_own_noise(small):
    comparison = small([Technique("baseline", None), Technique("cached", label="Cached", damage=0.6, seed=5)])
    comparison["techniques"][1]["matches"]["noise_apart"] = True
    row = named(view.report_view(comparison)["views"]["lossless"], "cached")
    assert row["verdict"] == {"text": "does not apply", "tone": ""}
    assert row["sentence"].startswith("Answers are drawn, and a server draws with noise of its own")
    assert "does not apply" in read(comparison)[0]


def test_a_lossless_technique_that_differs_is_withdrawn_and_explained(small):
    wrong = Technique("cached", label="Cached", lossless=True, damage=0.6, seed=5)
    comparison = small([Technique("baseline", None), wrong])
    assert comparison["techniques"][1]["status"] == "invalid"
    row = named(view.report_view(comparison)["views"]["lossless"], "cached")
    assert row["verdict"] == {"text": "error: differs", "tone": "bad"}
    assert row["sentence"] == comparison["techniques"][1]["reason"]
    first = comparison["techniques"][1]["matches"]["first_divergence"]
    assert row["divergences"][0]["position"] == str(first["position"] + 1)
    text, _ = read(comparison)
    assert row["sentence"] in text
    assert "withdrawn" in text


def test_divergences_say_whether_they_are_ties_and_of_which_prompt(whole):
    match = technique(whole, "pruned")["matches"]
    match["audit"] |= {"gap_bound": 0.0004567, "expected_ties": 0.0234, "ties": 1}
    match["divergences"] = [
        {"id": "a", "prompt": 1, "position": 3, "logit_gap": 0.00042, "own_logit_gap": 0.00031,
         "parent_token": 7, "own_token": 9,
         "own_token_is_runner_up": True, "tie": True},
        {"id": "b", "prompt": 8, "position": 0, "logit_gap": None, "parent_token": None, "own_token": 9,
         "own_token_is_runner_up": None, "tie": False},
    ]  # fmt: skip
    row = named(view.report_view(whole)["views"]["lossless"], "pruned")
    assert row["divergences"] == [
        {"sample": "a", "prompt": "1", "position": "4", "gap": "0.00042", "own_gap": "0.00031",
         "parent": "7", "own": "9",
         "runner_up": "yes", "tie": "yes"},
        {"sample": "b", "prompt": "8", "position": "1", "gap": "not recorded", "own_gap": "not recorded",
         "parent": "ended", "own": "9",
         "runner_up": "not recorded", "tie": "no"},
    ]  # fmt: skip
    assert row["bound"] == (
        "Another order of float32 sums moves the gap by up to 0.000457 and flips 0.023 of the parent's tokens on "
        "average; differences at such ties: 1."
    )


def test_a_row_that_is_equal_but_for_ties_says_so(whole):
    technique(whole, "kv_cache")["matches"]["audit"]["verdict"] = "tie"
    assert named(view.report_view(whole)["views"]["lossless"], "kv_cache")["verdict"] == {
        "text": "equal but for ties",
        "tone": "unclear",
    }


def test_memory_is_summed_over_devices_and_drawn_on_one_scale(whole):
    memory = view.report_view(whole)["views"]["memory"]
    row = named(memory["rows"], "tensor_parallel")
    assert row["devices"] == 2
    assert memory["unit"] == "MB"
    # 2 x 90 MiB before loading, 2 x 53.5 MiB of weights
    assert row["cells"][:2] == ["188.7", "112.2"]
    assert len([cells for cells in memory["devices"] if cells[0] == row["label"]]) == 2
    longest = named(memory["rows"], "speculative")["bar"]
    assert longest["mark"] == memory["width"] - 1
    ends = [part["x"] + part["width"] for part in longest["parts"]]
    assert [part["x"] for part in longest["parts"][1:]] == pytest.approx(ends[:-1], abs=0.2)
    # Its parts make up the whole process: 102 MiB and 1110, of the 90 and 1332 that the scale ends at.
    assert ends[-1] == pytest.approx(memory["width"] * 1212 / 1422, abs=0.5)
    assert row["unexplained"] == "0.3%"  # 1 MiB of 102 and 260 on each device
    # No technique has a graph, so that no column is there for its pools.
    assert [part["class"] for part in memory["parts"]] == [
        "base",
        "weight",
        "kv_cache",
        "activation",
        "outside",
        "rest",
    ]


def test_memory_that_disagrees_with_the_shape_is_said(whole):
    technique(whole, "nf4")["memory_check"] = {"weights_ratio": 1.2, "kv_cache_ratio": None, "agrees": False}
    technique(whole, "nf4")["smallest_gpu"] |= {"name": None, "devices": 1}
    row = named(view.report_view(whole)["views"]["memory"]["rows"], "nf4")
    assert (row["check"]["weights"], row["check"]["cache"], row["check"]["agrees"]) == ("1.200", "—", "no")
    assert row["gpu"]["text"] == "none of the table is large enough"


def test_memory_that_was_not_read_is_a_dash_and_no_bar(whole):
    entry = technique(whole, "nf4")
    entry |= {"memory_anatomy": [], "memory_check": None, "smallest_gpu": None}
    row = named(view.report_view(whole)["views"]["memory"]["rows"], "nf4")
    assert set(row["cells"]) == {"—"}
    assert row["bar"] == {"parts": [], "mark": None, "text": ""}
    assert row["gpu"]["text"] == "memory was not read"


def test_predicted_and_measured_time_have_one_unit(whole):
    for entry in whole["techniques"]:
        entry["figures"]["predicted_time_per_sample_s"]["value"] = 0.0002
    table = view.report_view(whole)["views"]["why"]
    columns = next(group["columns"] for group in table["groups"] if group["title"] == "Time")
    units = {column["title"]: column["unit"] for column in columns}
    assert units["predicted, per headline"] == units["measured, per headline"] == "ms"


def test_why_shows_speedups_and_says_what_is_not_known(whole):
    technique(whole, "int8")["measured_speedup"] |= {"value": 0.5, "low": 0.4, "high": 0.6, "verdict": "lower"}
    table = view.report_view(whole)["views"]["why"]
    cell = named(table["rows"], "int8")["cells"][-1]
    assert (cell["text"], cell["interval"], cell["verdict"], cell["tone"]) == ("0.50", "0.40–0.60", "slower", "bad")  # noqa: RUF001
    assert (
        "MBU of the data sheet's peak, MFU of the data sheet's peak: no data sheet for this processor."
        in table["notes"]
    )


def test_interactions_are_told_in_words(small):
    off, cache = {"model": "small", "kv_cache": "none"}, {"kv_cache": "dynamic"}
    four = {"quantization": {"method": "nf4", "double_quantization": False, "compute_dtype": "model"}}
    comparison = small(
        [
            Technique("baseline", None, "Plain", off),
            Technique("cached", "baseline", "Cache", cache, speed=2),
            Technique("four", "baseline", "4-bit", four, speed=0.8),
            Technique("both", "cached", "4-bit with cache", four, speed=1.6),
        ]
    )
    square = comparison["interactions"][0]
    square["ratio"] |= {"value": 1.124, "low": 1.05, "high": 1.2}
    square["verdict"] = "less than the parts multiplied"
    text, _ = read(comparison)
    sentence = view.report_view(comparison)["views"]["interactions"][0]["sentence"]
    assert "1.12\N{MULTIPLICATION SIGN} (1.05 to 1.20)" in sentence
    assert "less than the parts multiplied" in sentence
    assert sentence in text
    assert "Cache and 4-bit, each alone over Plain" in text
    square |= {"ratio": figures.missing("1", "one of them has no value"), "verdict": None}
    assert "no ratio: one of them has no value" in read(comparison)[0]


def test_sweeps_keep_the_points_that_did_not_run(whole):
    sweep = view.report_view(whole)["views"]["sweeps"][0]
    assert [row["value"] for row in sweep["rows"]] == ["0", "0.3", "0.5", "0.9"]
    assert [row["ok"] for row in sweep["rows"]] == [True, True, True, False]
    assert sweep["rows"][3]["reason"].startswith("CUDA out of memory while loading")
    assert [cell["text"] for cell in sweep["rows"][1]["verdicts"]][-1] == "not kept"
    assert sweep["compared"] == "KV cache"
    text, source = read(whole)
    assert sweep["rows"][3]["reason"] in text
    assert '<figure class="curve">' in source


def test_drafting_stands_beside_where_it_breaks_even(whole):
    row = whole["break_even"][0]
    row |= {
        "cost_ratio": figures.figure(0.3, "1", 1),
        "break_even_acceptance": figures.figure(0.62, "1", 1),
        "predicted_speedup": figures.figure(1.4, "1", 30, (1.3, 1.5)),
    }
    shown = view.report_view(whole)["views"]["why"]["speculation"][0]
    assert shown["tokens"] == 4
    rate = technique(whole, row["technique"])["figures"]["acceptance_rate"]["value"]
    expected = ["0.30×", f"{100 * rate:.1f}%", "62.0%", "1.40×"]  # noqa: RUF001
    assert [cell["text"] for cell in shown["cells"][:4]] == expected
    row["break_even_acceptance"] = figures.missing("1", "not reachable: a draft costs too much")
    text, _ = read(whole)
    assert "not reachable: a draft costs too much" in text
    assert "S(α) = 1" in text  # noqa: RUF001


def test_provenance_names_what_differs_between_runs(whole):
    run = technique(whole, "nf4")["runs"][0]
    run["provenance"] |= {"code_digest": "other", "git_modified": True}
    run["conditions"] = synthetic.make_conditions(steal_share=0.31)
    run["calibration"]["before"]["copy_bytes_per_s"] = 1.5e10
    shown = view.report_view(whole)["views"]["trust"]
    pairs = {key: value for group in shown["groups"] for key, value in group["pairs"]}
    assert pairs["code digest"] == f"{'c' * 16} (31 runs); other (1 run)"
    assert "with uncommitted changes (1 run)" in pairs["git revision"]
    assert pairs["CPU taken away by the hypervisor"] == "at most 31.0% (4-bit NF4, run 1)"
    assert pairs["copy"].startswith("15.0")
    assert pairs["why not"] == "This machine shows no energy counters."
    text, _ = read(whole)
    assert "Interleaved: yes. Runs were interleaved: every technique ran once before any ran again (2 blocks)." in text
    assert len(shown["runs"]) == 32
    starts = [cells[2] for cells in shown["runs"]]
    assert starts == sorted(starts)
    assert shown["runs"][0][:4] == ["Baseline", "1", "2025-01-02 03:00:00", "50.0 s"]


def test_gpus_throttling_is_said_of_machines_that_have_gpus(whole):
    gpu = {"name": "H100", "memory_bytes": 8e10, "driver": "570", "power_limit_w": 350.0}
    whole["machine"] = whole["machine"] | {"gpus": [gpu]}
    run = technique(whole, "nf4")["runs"][1]
    run["conditions"] = synthetic.make_conditions(throttle_reasons=["software_power_cap"])
    shown = view.report_view(whole)["views"]
    assert "power limit 350 W" in dict(shown["conditions"]["machine"])["GPU 0"]
    pairs = dict(shown["trust"]["groups"][2]["pairs"])
    assert pairs["GPU clocks held down"] == "software power cap"
    assert pairs["Other programs on the GPUs"] == "none seen"


def test_a_run_that_recorded_nothing_still_renders(whole):
    for entry in whole["techniques"]:
        entry |= {"semantic_model": None, "energy": None, "time": None, "modes": None, "memory_anatomy": []}
        entry["runs"] = [{"run": 1, "status": "ok"}]
    whole |= {"order": {"interleaved": None, "note": "Nothing is known.", "blocks": []}}
    text, _ = read(whole)
    assert "Interleaved: not known. Nothing is known." in text
    assert not re.findall(r"\bNone\b(?!: no run| of the)", text)


def test_hostile_text_in_the_new_parts_is_inert(whole):
    bad = "<img src=x onerror=alert(1)>\u202e$\\frac{"
    entry = technique(whole, "pruned")
    entry["flags"] = [{"kind": bad, "message": bad}]
    entry["semantic_model"] = {"name": bad}
    entry["matches"]["divergences"][0]["id"] = bad
    entry["matches"]["audit"]["sentence"] = bad
    entry["memory_anatomy"] = [entry["memory_anatomy"][0] | {"device": bad}] * 2
    entry["smallest_gpu"] |= {"name": bad, "note": bad}
    entry["changes"]["parent"]["quality_kept"]["reason"] = bad
    entry["figures"]["mbu_datasheet"]["note"] = bad
    entry["cost_per_million"]["unit"] = whole["price"]["currency"] = bad
    entry["energy"] = {"method": bad, "reason": bad, "domains": [bad]}
    entry["runs"][0]["provenance"] = {"git_revision": bad, "git_modified": None, "code_digest": bad}
    entry["runs"][0]["started_at"] = bad
    entry["models"]["target"] |= {"name": bad, "digest": bad}
    whole["order"] |= {"note": bad, "blocks": [[bad]]}
    whole["sweeps"][0] |= {"name": bad, "facet": bad, "technique": bad}
    for point in whole["sweeps"][0]["points"]:
        point |= {"value": bad, "reason": bad}
    whole["interactions"] = [
        {"technique": "nf4", "with": "kv_cache", "alone": "pruned", "base": "baseline", "facet": bad,
         "ratio": figures.missing("1", bad), "verdict": bad}
    ]  # fmt: skip
    whole["break_even"][0]["cost_ratio"]["note"] = bad
    text, source = read(whole)
    assert "<img" not in source
    assert "\u202e" not in source
    assert text.count("<img src=x onerror=alert(1)>[U+202E]$\\frac{") > 15


def test_the_page_says_how_changes_are_tested_and_what_the_peaks_are_measured_by(whole):
    text, _ = read(whole)
    used = {
        figure["interval"]
        for row in whole["techniques"]
        for figure in (row["changes"]["parent"]["figures"] or {}).values()
    }
    assert two_levels.TWO_LEVELS.format(runs=two_levels.IN_ROUNDS) in used
    assert text.count("inside their rounds (where they were made apart,") == 2
    assert text.count("and all changes of one kind") == 2
    assert "paired bootstrap over prompts combined with how far runs lie apart inside their rounds" in text
    assert "Holm's correction" in text
    assert "by reading memory and a matrix product measured in the run itself" in text


def test_every_flag_has_words_of_its_own_that_are_the_same_everywhere():
    for known in templates.general("flags").values():
        assert known["meaning"].endswith(".")
        assert "_" not in known["text"]

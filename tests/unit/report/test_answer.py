"""The first sentences of the report, the terminal and the Markdown document."""

import re
from dataclasses import replace

import pytest

from scripts.comparison import sufficiency
from scripts.report import answer, cards, gains, scope
from scripts.report.sections import examples, speedups
from tests.support import synthetic_runs as synthetic
from tests.support.report_pages import rendered, short, technique, visible
from tests.support.synthetic_study import Technique, compare, write_study

NO_DIFFERENCE = "no measurable difference"
X = "\N{MULTIPLICATION SIGN}"
BATCH = {"batch_size": 8}
RANDOM = {"models": {"target": synthetic.make_model("small") | {"source": "random", "random_weights": True}}}


@pytest.fixture
def told(tmp_path):
    """Return a function that returns the comparison of a study of these techniques, three runs of 40 prompts each."""

    def run(*techniques, runs=3, count=40):
        return compare(write_study(tmp_path, list(techniques), count=count, runs=runs))

    return run


PLAIN = Technique("baseline", None, "Plain")
FAST = Technique("fast", label="Fast", speed=3, peak_mib=480, lossless=True)


def test_one_technique_for_single_requests_and_another_for_bulk_work(told):
    bulk = Technique("bulk", label="Bulk", difference=BATCH, speed=1.2, peak_mib=800, changes={"batch_size": 8})
    comparison = told(PLAIN, FAST, bulk)
    # What a batch of eight serves is known from its runs; here it is said.
    comparison["uses"] |= {"bulk": ["bulk", "fast", "baseline"], "bulk_ties": []}
    technique(comparison, "bulk")["changes"]["baseline"]["figures"]["throughput_change_percent"]["value"] = 710.0
    for each in comparison["techniques"]:
        each["flags"] = []
    first, price, sure, doubt = answer.sentences(comparison)
    assert first == f"Use Fast: 3.0{X} faster, same headlines. For bulk work Bulk: 8.1{X} the throughput."
    assert price.startswith(
        f"Price: 1.20{X} the memory (503 MB at its peak). Bulk: each request waits 2.5{X} as long as"
    )
    # Memory is over the baseline's, also behind a comparison with the first.
    assert price.endswith(f"as long as with Fast, at 2.0{X} the baseline's memory.")
    assert sure.startswith(f"How sure: 2.9 to 3.1{X} as fast (95% interval, 40 prompts {X} 3 runs)")
    assert sure.endswith("nothing else that keeps the quality is as fast.")
    assert doubt.startswith("No doubt: nothing disturbed the runs")


def test_equal_ones_are_named_with_what_each_is_for(told):
    small = Technique("small", label="Small", speed=3, peak_mib=200)
    comparison = told(PLAIN, FAST, small)
    comparison["uses"] |= {"alone": ["fast", "small", "baseline"], "alone_ties": ["small"]}
    assert f"; not shown to be slower: Small (0.42{X} the memory)." in answer.sentences(comparison)[2]


def test_nothing_faster_is_said_as_an_action(told):
    comparison = told(PLAIN, Technique("slow", label="Slow", speed=0.5))
    assert answer.sentences(comparison)[0] == (
        "Stay with Plain: no technique is shown to be faster and to keep its quality."
    )
    (card,) = cards.cards(comparison)
    assert (card["label"], card["titles"]) == ("Plain", ["Single requests"])


def test_a_faster_one_that_loses_quality_is_the_doubt_and_no_advice(told):
    comparison = told(PLAIN, FAST, Technique("bad", label="Bad", speed=9, damage=0.9, seed=3))
    sentences = answer.sentences(comparison)
    assert sentences[0].startswith("Use Fast")
    assert re.fullmatch(
        rf"Doubt: Bad is faster still \([89]\.\d{X} faster\), but it does not keep the quality.", sentences[-1]
    )


def test_one_run_names_no_winner_and_says_what_is_missing(told):
    comparison = told(PLAIN, FAST, runs=1)
    assert answer.sentences(comparison) == [
        "No winner is named. Missing: a second run of each technique, better a third (measurement.repeats)."
    ]
    assert cards.cards(comparison) == []


def test_a_technique_that_ran_alone_has_no_winner_to_lack(told):
    assert answer.sentences(told(PLAIN, runs=1))[0] == "Use Plain: no other technique was measured."


def flagged(comparison, kind, *names):
    for each in comparison:
        each["flags"] = [{"kind": kind, "message": "x"}] if each["name"] in names else []
    return comparison


@pytest.mark.parametrize(("kind", "names", "missing"), [
    ("steal", ("baseline", "fast"), True),
    ("steal", ("fast",), False),
    ("several_changes", ("baseline", "fast"), False),
])  # fmt: skip
def test_flags_everywhere_name_no_winner(told, kind, names, missing):
    rows = flagged(told(PLAIN, FAST)["techniques"], kind, *names)
    found = sufficiency.lacking(rows, 40)
    assert bool(found) == missing
    if missing:
        comparison = told(PLAIN, FAST) | {"no_winner": found, "uses": None}
        assert answer.sentences(comparison)[0] == (
            "No winner is named. Missing: a technique that nothing disturbed: both are flagged (CPU taken away); "
            "repeat the study on a calmer machine."
        )


def test_nothing_of_a_report_names_a_winner_where_prompts_are_too_few(told):
    comparison = told(PLAIN, FAST, count=8, runs=1)
    page, brief = rendered(comparison), short(comparison)
    said = "No winner is named. Missing: 10 prompts or more (there are 8; dataset.samples) and a second run of each"
    assert said in " ".join(visible(page).split())
    assert said in " ".join(brief.replace("\\", "").split())
    assert "Use Fast" not in visible(page) + brief
    assert 'class="candidate"' not in page
    assert "data-winner" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "Overall score" not in brief
    assert "Which for what" not in brief
    assert all(scenario["winner"] is None for scenario in comparison["scenarios"])
    assert comparison["ranking"]["overall"]


def test_a_lead_that_no_test_confirms_is_named_and_not_denied(told):
    comparison = told(PLAIN, FAST)
    technique(comparison, "fast")["changes"]["baseline"]["figures"]["latency_change_percent"]["verdict"] = NO_DIFFERENCE
    first, _, sure, _ = answer.sentences(comparison)
    assert first.startswith("Stay with Plain for single requests: no technique is shown to be faster")
    assert sure == (
        f"How sure: 40 prompts {X} 3 runs; Fast is 3.0{X} faster by its mean, which the test does not confirm: more "
        "prompts or runs would tell."
    )
    technique(comparison, "fast")["changes"]["baseline"]["figures"]["latency_change_percent"]["value"] = -0.1
    assert "; not shown to be slower: Fast" in " ".join(answer.sentences(comparison))


@pytest.mark.parametrize(("others", "wanted"), [
    ([Technique("bad", label="Bad", speed=9, damage=0.9, seed=3)], "no other technique is shown to keep the quality."),
    ([Technique("bulk", label="Bulk", difference=BATCH, changes={"batch_size": 8})], "takes requests in batches."),
    ([Technique("gone", label="Gone", status="failed", reason="x")], ""),
])  # fmt: skip
def test_nothing_is_compared_with_techniques_that_are_not_there(told, others, wanted):
    sentences = answer.sentences(told(PLAIN, *others))
    sure = "".join(line for line in sentences if line.startswith("How sure"))
    assert sure.endswith(wanted)
    assert bool(sure) == bool(wanted)


def test_a_study_of_batches_alone_has_an_answer(told):
    batches = [
        Technique("baseline", None, "Plain", BATCH),
        Technique("more", label="More", difference={"batch_size": 16}),
    ]
    assert answer.sentences(told(*batches))[0].startswith("Stay with Plain")


def test_too_few_prompts_are_not_blamed_on_the_runs(told):
    assert answer.sentences(told(PLAIN, FAST, count=3)) == [
        "No winner is named. Missing: 10 prompts or more (there are 3; dataset.samples)."
    ]


@pytest.mark.parametrize(("status", "wanted"), [
    ("ok", "Fast is the only technique with figures; what it gains can't be said, as the baseline has none."),
    ("failed", "Nothing can be recommended: none of the 2 techniques ran to the end."),
])  # fmt: skip
def test_without_a_baseline_nothing_is_recommended(told, status, wanted):
    gone = Technique("baseline", None, "Plain", status="failed", reason="x")
    assert answer.sentences(told(gone, replace(FAST, status=status, reason="x")))[0] == wanted


def test_random_weights_recommend_what_must_give_the_same_text_alone(told):
    comparison = told(
        Technique("baseline", None, "Plain", changes=RANDOM),
        Technique("fast", label="Fast", speed=3, lossless=True, changes=RANDOM),
        Technique("rough", label="Rough", speed=9, damage=0.9, seed=3, changes=RANDOM),
    )
    first, *_, doubt = answer.sentences(comparison)
    assert first.startswith(f"Use Fast for single requests and for bulk work: 3.0{X} faster, ")
    assert doubt == "Doubt: quality was not measured, since the weights are random."
    limits = scope.limits(comparison)
    assert limits["sentence"].startswith("This shows speed and memory of this shape on this machine.")
    assert "--configfile" in limits["command"]


def test_a_lossless_step_from_another_model_is_not_called_lossless(told):
    comparison = told(
        Technique("baseline", None, "Plain", changes=RANDOM),
        Technique("large", label="Large", speed=0.5, damage=0.9, seed=3, changes=RANDOM),
        Technique("quick", "large", "Quick", speed=9, damage=0.9, seed=3, lossless=True, changes=RANDOM),
    )
    assert gains.gains(technique(comparison, "quick"), comparison).text == "quality not measured"
    assert answer.chosen(comparison)[0].name == "baseline"


def test_what_is_not_known_of_a_technique_is_not_called_the_reference(told):
    comparison = told(PLAIN, FAST)
    figures = technique(comparison, "fast")["changes"]["baseline"]["figures"]
    for key in ("throughput_change_percent", "peak_memory_change_percent"):
        figures[key] |= {"value": None}
    texts = {each["title"]: each["text"] for each in cards.card(technique(comparison, "fast"), comparison)["figures"]}
    assert (texts["Samples/s"], texts["Peak memory"]) == ("not known", "not known")
    texts = [each["text"] for each in cards.card(technique(comparison, "baseline"), comparison)["figures"]]
    assert texts == ["reference"] * 4


def test_flags_of_what_is_recommended_are_the_doubt(told):
    comparison = told(PLAIN, FAST)
    technique(comparison, "fast")["flags"] = [{"kind": "spread", "message": "."}]
    assert answer.sentences(comparison)[-1].startswith("Doubt: Fast is flagged: runs differ. Where a small difference")


def test_answers_without_a_headline_are_the_doubt_and_no_doubt_about_a_speed(told):
    comparison = told(PLAIN, FAST)
    for each in comparison["techniques"]:
        each["flags"] = [{"kind": "unusable", "message": "."}]
    assert "is flagged: answers without a headline" in answer.doubt(comparison)
    assert not [each for each in sufficiency.lacking(comparison["techniques"], 999) if each["kind"] == "flags"]


def test_headlines_that_are_worth_nothing_are_not_passed_over(told):
    comparison = told(PLAIN, Technique("other", label="Other", speed=3, damage=0.25, seed=5))
    comparison["uses"]["alone"] = ["other", "baseline"]
    technique(comparison, "baseline")["figures"]["rouge1"] |= {"value": 0.037}
    assert answer.doubt(comparison).startswith(
        "Doubt: Plain's headlines hardly resemble the references (ROUGE-1 0.037)"
    )


def test_letters_that_the_tokenizer_leaves_out_are_the_doubt(told):
    comparison = told(PLAIN, Technique("other", label="Other", speed=3, damage=0.25, seed=5))
    comparison["uses"]["alone"] = ["other", "baseline"]
    chosen = {"name": "rouge", "asked": "rouge", "share_beyond_ascii": 0.9}
    for each in comparison["techniques"]:
        each["text_tokenizer"] = chosen
    said = answer.doubt(comparison)
    assert said.startswith(
        "Doubt: \N{LEFT DOUBLE QUOTATION MARK}quality kept\N{RIGHT DOUBLE QUOTATION MARK} says little here."
    )
    assert "leaves out 90.0% of the references' letters" in said


def test_what_failed_is_said_last(told):
    comparison = told(PLAIN, FAST, Technique("gone", label="Gone", status="failed", reason="it ended with 1"))
    assert answer.sentences(comparison)[-1] == "1 of 3 techniques failed and has no figures: Gone."


def test_bars_are_sorted_by_speed_and_coloured_by_quality(told):
    comparison = told(PLAIN, FAST, Technique("bad", label="Bad", speed=0.5, damage=0.9, seed=3))
    shown = speedups.speedups(comparison)
    assert [(row["label"], row["tone"]) for row in shown["rows"]] == [
        ("Fast", "kept"), ("Plain", "reference"), ("Bad", "lost")
    ]  # fmt: skip
    fast, plain, _ = (row["bars"][0] for row in shown["rows"])
    assert (fast["text"], plain["text"]) == (f"3.0{X}", f"1.00{X}")
    assert plain["value"] == pytest.approx(fast["value"] / 3, rel=0.02)
    assert fast["low"] <= fast["value"] <= fast["low"] + fast["span"] <= 100


def test_the_examples_are_of_the_recommended_its_parent_and_the_baseline(told):
    kv = Technique("kv", label="KV", speed=2, lossless=True)
    comparison = told(PLAIN, kv, Technique("fast", "kv", "Fast", speed=3, lossless=True))
    shown = examples.examples(comparison)
    assert shown["names"] == ["Fast", "KV", "Plain"]
    assert len(shown["prompts"]) == 3
    assert shown["prompts"][0]["headlines"][0]["by"] == ["Fast", "KV", "Plain"]
    page = visible(rendered(comparison))
    assert "Fast, KV, Plain wrote the same on all 40 prompts in this file." in page

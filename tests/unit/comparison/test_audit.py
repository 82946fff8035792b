import pytest

from scripts.comparison import document, matches
from tests.support.synthetic_timings import Chance, Technique, make_study

PARENT = list(range(13))
OTHER = [*PARENT[:5], 77, *PARENT[6:]]


def compared(gap=0.5, runner_up=77, dtype="float32", settings=None, lossless=True):
    """Compare a technique that writes another token 5 in prompt 2, a child of it, and a sound sibling."""
    techniques = [
        Technique("base"),
        Technique("wrong", "base", lossless=lossless, settings=settings or {}),
        Technique("child", "wrong"),
        Technique("sound", "base", lossless=True),
    ]
    study, rows, metrics = make_study(techniques, Chance(runs=2, prompts=12, fixed=10))
    base = metrics["base"]["samples"]
    base["margins"] = [[gap] * 13 for _ in rows]
    base["runners_up"] = [[runner_up] * 13 for _ in rows]
    metrics["wrong"]["samples"]["token_ids"] = [PARENT, PARENT, OTHER, *[PARENT] * 9]
    metrics["wrong"]["models"]["target"]["dtype"] = dtype
    comparison = document.comparison(study, rows, {}, metrics)
    return comparison, {row["name"]: row for row in comparison["techniques"]}


def test_a_lossless_technique_that_differs_in_float32_has_no_figures():
    comparison, rows = compared()
    wrong = rows["wrong"]
    assert wrong["status"] == "invalid"
    assert wrong["reason"] == wrong["matches"]["audit"]["sentence"]
    assert wrong["matches"]["audit"]["verdict"] == "error"
    assert "first at token 6 of sample 0002" in wrong["reason"]
    assert all(figure["value"] is None and figure["note"] == "invalid" for figure in wrong["figures"].values())
    assert wrong["changes"]["baseline"]["figures"] is None
    assert comparison["answer"]["ran"] == 3
    assert "wrong" not in comparison["prompts"]["wrote"]


def test_nothing_is_compared_with_an_invalid_parent():
    _, rows = compared()
    assert rows["child"]["changes"]["parent"]["reason"] == "wrong has no figures (invalid)"
    assert rows["child"]["changes"]["parent"]["figures"] is None
    assert rows["child"]["changes"]["baseline"]["figures"] is not None
    assert rows["child"]["measured_speedup"]["note"] == "wrong has no figures (invalid)"
    assert (rows["sound"]["status"], rows["sound"]["matches"]["audit"]["verdict"]) == ("ok", "identical")


def test_a_parent_is_judged_before_its_children_wherever_it_stands():
    study, rows, metrics = make_study(
        [Technique("base"), Technique("child", "wrong"), Technique("wrong", "base", lossless=True)], Chance(runs=2)
    )
    metrics["wrong"]["samples"]["token_ids"] = [OTHER] * len(rows)
    child = document.comparison(study, rows, {}, metrics)["techniques"][1]
    assert child["changes"]["parent"]["reason"] == "wrong has no figures (invalid)"
    assert child["matches"]["reason"] == "wrong has no figures (invalid)"


def test_one_tie_excuses_no_other_divergence():
    theirs = {"technique": "b", "samples": {"id": ["x", "y"], "token_ids": [[1], [1]], "headline": ["", ""],
                                            "margins": [[1e-5], [0.4]], "runners_up": [[2], [2]]}}  # fmt: skip
    ours = {"technique": "a", "samples": theirs["samples"] | {"token_ids": [[2], [2]]},
            "models": {"target": {"dtype": "float32"}}}  # fmt: skip
    assert matches.matches(ours, theirs, lossless=True)["audit"]["verdict"] == "error"


@pytest.mark.parametrize(("runner_up", "expected"), [(77, True), (76, False)])
def test_where_tokens_part_the_parents_logits_are_shown(runner_up, expected):
    _, rows = compared(gap=0.25, runner_up=runner_up)
    assert rows["wrong"]["matches"]["divergences"] == [
        {"id": "0002", "position": 5, "logit_gap": 0.25, "parent_token": 5, "own_token": 77,
         "own_token_is_runner_up": expected}
    ]  # fmt: skip


def test_a_rounding_tie_is_named_and_still_an_error_in_float32():
    _, rows = compared(gap=5e-4)
    assert rows["wrong"]["matches"]["audit"]["verdict"] == "tie"
    assert rows["wrong"]["status"] == "invalid"


@pytest.mark.parametrize("options", [{"dtype": "bfloat16"}, {"settings": {"quantization": {"method": "nf4"}}}])
def test_where_rounding_depends_on_shapes_it_is_reported(options):
    _, rows = compared(**options)
    assert rows["wrong"]["matches"]["audit"]["verdict"] == "differs"
    assert rows["wrong"]["matches"]["lossless"] is False
    assert rows["wrong"]["status"] == "ok"
    assert rows["child"]["changes"]["parent"]["figures"] is not None


def test_a_technique_that_may_differ_is_never_invalid():
    _, rows = compared(lossless=False)
    assert rows["wrong"]["status"] == "ok"
    assert rows["wrong"]["matches"]["lossless"] is None


def test_an_ended_or_unrecorded_parent_has_no_logits():
    ours = {"technique": "a", "samples": {"id": ["x", "y"], "token_ids": [[1, 2, 3], [9]], "headline": ["", ""]}}
    theirs = {"technique": "b", "samples": {"id": ["x", "y"], "token_ids": [[1, 2], [4]], "headline": ["", ""],
                                            "margins": [[0.1, 0.2], None], "runners_up": [[5, 6], None]}}  # fmt: skip
    longer, unrecorded = matches.matches(ours, theirs, lossless=True)["divergences"]
    assert (longer["position"], longer["parent_token"], longer["logit_gap"]) == (2, None, None)
    assert (unrecorded["own_token"], unrecorded["own_token_is_runner_up"]) == (9, None)

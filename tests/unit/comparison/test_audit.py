import pytest

from scripts.comparison import document, lower_precision, matches
from scripts.report import measured
from tests.support.synthetic_timings import Chance, Technique, make_study

PARENT = list(range(13))
OTHER = [*PARENT[:5], 77, *PARENT[6:]]


def compared(gap=0.5, runner_up=77, dtype="float32", settings=None, lossless=True, shift=None, differing=(2,)):
    """Compare a technique that writes another token 5 in prompt 2, a child of it, and a sound sibling.

    Rounding moves the gaps by ``shift``; only where the technique differs they are as small as ``gap``.
    """
    techniques = [
        Technique("base"),
        Technique("wrong", "base", lossless=lossless, settings=settings or {}),
        Technique("child", "wrong"),
        Technique("sound", "base", lossless=True),
    ]
    study, rows, metrics = make_study(techniques, Chance(runs=2, prompts=12, fixed=10))
    base = metrics["base"]["samples"]
    base["margins"] = [[gap if place == 5 and row in differing else 0.5 for place in range(13)] for row in range(12)]
    base["margin_shifts"] = None if shift is None else [[shift, -shift] * 6 + [shift] for _ in rows]
    base["runners_up"] = [[runner_up] * 13 for _ in rows]
    metrics["wrong"]["samples"]["token_ids"] = [OTHER if row in differing else PARENT for row in range(12)]
    metrics["wrong"]["models"]["target"]["dtype"] = dtype
    comparison = document.comparison(study, rows, {}, metrics)
    return comparison, {row["name"]: row for row in comparison["techniques"]}


def test_a_lossless_technique_that_differs_in_float32_has_no_figures():
    comparison, rows = compared()
    wrong = rows["wrong"]
    assert wrong["status"] == "invalid"
    assert wrong["reason"] == wrong["matches"]["audit"]["sentence"]
    assert wrong["matches"]["audit"]["verdict"] == "error"
    assert "first at token 6 of prompt 3, sample 0002" in wrong["reason"]
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
                                            "margins": [[1e-6], [0.4]], "runners_up": [[2], [2]],
                                            "margin_shifts": [[1e-5], [1e-5]]}}  # fmt: skip
    ours = {"technique": "a", "samples": theirs["samples"] | {"token_ids": [[2], [2]]},
            "models": {"target": {"dtype": "float32"}}}  # fmt: skip
    audit = matches.matches(ours, theirs, lossless=True)["audit"]
    assert (audit["verdict"], audit["ties"]) == ("error", 1)
    assert "only 1 of them are such a tie" in audit["sentence"]


@pytest.mark.parametrize(("runner_up", "expected"), [(77, True), (76, False)])
def test_where_tokens_part_the_parents_logits_are_shown(runner_up, expected):
    _, rows = compared(gap=0.25, runner_up=runner_up)
    assert rows["wrong"]["matches"]["divergences"] == [
        {"id": "0002", "prompt": 3, "position": 5, "logit_gap": 0.25, "parent_token": 5, "own_token": 77,
         "own_logit_gap": None,
         "own_token_is_runner_up": expected, "tie": False}
    ]  # fmt: skip


@pytest.mark.parametrize("gap", [0.0, 1e-6, 2e-5])
def test_a_tie_that_rounding_alone_turns_is_accepted_named_and_counted(gap):
    _, rows = compared(gap=gap, shift=1e-5)
    wrong, audit = rows["wrong"], rows["wrong"]["matches"]["audit"]
    assert (wrong["status"], audit["verdict"], audit["ties"]) == ("ok", "tie", 1)
    assert wrong["figures"]["latency_s"]["value"] is not None
    assert 4e-5 < audit["gap_bound"] < 6e-5
    assert 0 < audit["expected_ties"] <= 0.5
    assert audit["sentence"] == (
        "1 of 12 prompts have other tokens than base, first at token 6 of prompt 3, sample 0002; base's two best "
        f"logits are {gap:.2g} apart there; accepted, since another order of float32 sums moves that gap by up to "
        f"{audit['gap_bound']:.2g} and the second-best token was chosen each time."
    )
    assert wrong["matches"]["divergences"][0]["tie"] is True
    assert rows["child"]["changes"]["parent"]["figures"] is not None


def test_a_tie_is_no_excuse_for_a_third_token():
    _, rows = compared(gap=0.0, shift=1e-5, runner_up=76)
    assert rows["wrong"]["status"] == "invalid"
    assert "none of them is such a tie" in rows["wrong"]["reason"]


def test_a_gap_beyond_rounding_is_an_error_however_small():
    _, rows = compared(gap=5e-4, shift=1e-5)
    assert rows["wrong"]["matches"]["audit"]["verdict"] == "error"
    assert rows["wrong"]["status"] == "invalid"


def test_without_a_measured_rounding_no_tie_is_accepted():
    _, rows = compared(gap=0.0)
    assert rows["wrong"]["status"] == "invalid"
    assert "was not measured, so no difference is accepted" in rows["wrong"]["reason"]


def test_more_ties_than_rounding_turns_are_an_error():
    """Each is near enough, but of twelve tokens three scales apart rounding turns none or one."""
    _, rows = compared(gap=3e-5, shift=1e-5, differing=range(12))
    audit = rows["wrong"]["matches"]["audit"]
    assert (audit["verdict"], audit["ties"]) == ("error", 12)
    assert "but that flips 0.016 tokens on average, not 12." in audit["sentence"]
    # Half of as many exact ties are no more than chance.
    assert compared(gap=0.0, shift=1e-5, differing=range(6))[1]["wrong"]["status"] == "ok"


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


def test_the_gap_that_a_server_tells_of_its_own_token_is_shown_and_told_where_the_parents_is_not_known():
    samples = {"id": ["x", "y"], "headline": ["A", "B"]}
    own = {"token_ids": [[1, 2], [3, 4]], "margins": [[1.0, 2.0], [0.5, 0.125]]}
    ours = {"technique": "a", "samples": samples | own, "models": {"target": {"dtype": "bfloat16"}}}
    theirs = {"technique": "b", "samples": samples | {"token_ids": [[1, 2], [3, 5]]}}
    found = matches.matches(ours, theirs, lossless=False)
    assert found["first_divergence"]["own_logit_gap"] == 0.125
    assert "its own two best logits are up to 0.12 apart there" in found["audit"]["sentence"]


def by_text(headlines, **more):
    """Judge what a server wrote, whose tokens are made of its text, beside a parent that wrote A and B."""
    samples = {"id": ["x", "y"], "margins": [[0.4], [0.4]], "runners_up": [[2], [2]], "margin_shifts": [[1e-5], [1e-5]]}
    theirs = {"technique": "b", "samples": samples | {"token_ids": [[1, 9], [2, 9]], "headline": ["A", "B"]}}
    own = samples | {"token_ids": [[4], [5]], "headline": headlines}
    ours = {"technique": "a", "samples": own, "tokens_from": "text", "models": {"target": {"dtype": "float32"}}} | more
    return matches.matches(ours, theirs, lossless=True)


def test_a_server_without_tokens_of_its_own_is_held_to_the_parents_texts():
    found = by_text(["A", "B"])
    assert found["audit"]["verdict"] == "identical"
    assert found["audit"]["sentence"] == (
        "All 2 prompts have the headlines of b; a server gave no tokens, so texts were compared."
    )
    assert found["same_tokens"]["count"] == 2
    assert by_text(["A", "C"])["audit"]["verdict"] == "error"
    assert by_text(["A", "B\ufffd"])["audit"]["verdict"] == "identical"  # kept back, since unfinished


def test_the_same_texts_are_the_same_where_a_server_gives_no_tokens():
    ours = {"samples": {"headline": ["A"], "token_ids": [[4]], "new_tokens": [2]}, "tokens_from": "text"}
    theirs = {"samples": {"headline": ["A"], "token_ids": [[1, 9]], "new_tokens": [2]}}
    assert matches.same_text(ours, theirs)
    assert not matches.same_text(ours | {"tokens_from": None}, theirs)


def lower(dtype="bfloat16", **options):
    comparison, rows = compared(gap=0.01, dtype=dtype, **options)
    return comparison, rows["wrong"]["matches"]["lower_precision"]


def test_a_lossless_technique_that_differs_in_bfloat16_has_how_often_and_that_float32_was_not_asked():
    _, found = lower(differing=(2, 5, 7))
    assert (found["dtype"], found["differing"], found["prompts"]) == ("bfloat16", 3, 12)
    assert (found["second_best"], found["listed"], found["equal"]) == (3, 3, None)


def test_nothing_is_put_down_to_rounding_where_it_was_not():
    for options in ({"dtype": "float32", "shift": 1e-2}, {"lossless": False}, {"differing": ()}):
        assert lower(**options)[1] is None
    assert lower(runner_up=78)[1]["second_best"] == 0


def test_float32_shows_it_equal_where_a_technique_of_the_study_changed_the_same_in_it():
    study, rows, metrics = make_study(
        [Technique("base"), Technique("half", "base", lossless=True), Technique("base32"),
         Technique("whole", "base32", lossless=True), Technique("other", "base32", lossless=True)],
        Chance(runs=2, prompts=12, fixed=10),
    )  # fmt: skip
    for entry in study["techniques"]:
        entry["difference"] = {"kv_cache": "dynamic"} if entry["name"] in ("half", "whole") else {"engine": "graph"}
    metrics["half"]["samples"]["token_ids"] = [OTHER] * 12
    metrics["half"]["models"]["target"]["dtype"] = "bfloat16"
    made = {row["name"]: row for row in document.comparison(study, rows, {}, metrics)["techniques"]}
    equal = made["half"]["matches"]["lower_precision"]["equal"]
    assert (equal["technique"], equal["verdict"], equal["prompts"]) == ("whole", "identical", 12)
    assert not equal["previous"]


def test_float32_of_a_previous_study_counts_and_a_damaged_one_does_not():
    comparison, found = lower()
    row = next(each for each in comparison["techniques"] if each["name"] == "wrong")
    row["difference"] = {"engine": "graph"}
    matched = {"audit": {"verdict": "identical"}, "exact_expected": True, "dtype": "float32", "same_tokens": {"n": 30}}
    before = {"name": "wrong", "status": "ok", "difference": row["difference"], "matches": matched}
    for strange in ({"matches": None}, {"matches": {"audit": 3}}, {"status": "failed"}, {"difference": {"x": 1}}):
        lower_precision.add_previous(comparison["techniques"], [None, before | strange])
        assert found["equal"] is None
    lower_precision.add_previous(comparison["techniques"], [before])
    assert (found["equal"]["prompts"], found["equal"]["previous"]) == (30, True)
    told = measured.rounding(row)
    assert told.startswith("Its headlines differ although it is lossless: in bfloat16 sums are rounded by their order")
    assert "on 1 of 12 prompts, each time with the parent's second-best token" in told
    assert "Float32 showed it equal: wrong in the previous study wrote its parent's tokens on all 30 prompts." in told


def test_a_prompt_has_its_parents_tokens_only_if_all_of_its_draws_have():
    _, _, metrics = make_study([Technique("base"), Technique("other", "base", lossless=True)], Chance(runs=2))
    for content in metrics.values():
        count = len(content["samples"]["token_ids"])
        content["samples"]["further_draws"] = [
            {key: list(content["samples"][key]) for key in ("headline", "token_ids")} for _ in range(2)
        ]
    match = matches.matches(metrics["other"], metrics["base"], lossless=True)
    assert (match["audit"]["verdict"], match["same_tokens"]["count"]) == ("identical", count)
    assert matches.same_text(metrics["other"], metrics["base"])
    metrics["other"]["samples"]["further_draws"][1]["token_ids"][3] = OTHER
    match = matches.matches(metrics["other"], metrics["base"], lossless=True)
    assert (match["audit"]["verdict"], match["same_tokens"]["count"]) == ("error", count - 1)
    assert (match["same_tokens"]["n"], match["first_divergence"]["prompt"]) == (count, 4)
    assert not matches.same_text(metrics["other"], metrics["base"])


def test_noise_of_a_servers_own_is_said():
    _, _, metrics = make_study([Technique("base"), Technique("served", "base")], Chance(runs=2))
    metrics["served"]["generation"] = {"sampling": {"temperature": 1}, "noise": "the server's own"}
    assert matches.matches(metrics["served"], metrics["base"], lossless=False)["noise_apart"]

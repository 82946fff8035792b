import copy
import json

import pytest

from scripts.comparison import prompts
from scripts.metrics import rouge
from tests.support import synthetic_runs as synthetic
from tests.support.synthetic_study import Technique, compare, write_study

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"
RANDOM = {
    "models": {"target": {"name": "s", "source": "random", "random_weights": True, "parameters": 9, "dtype": "float32"}}
}


def make_metrics(headlines, scored=True):
    """Metrics of one technique that wrote these headlines; every word of the score is the headline's length."""
    scores = {key: [len(text) / 100 for text in headlines] if scored else None for key in rouge.KEYS}
    n = len(headlines)
    samples = {"headline": headlines, "latency_s": [0.123456789] * n, "new_tokens": [7] * n} | scores
    return {"status": "ok", "samples": samples}


def made(contents, count=2, **study):
    study = {"techniques": [{"name": name} for name in contents]} | study
    dataset = [{"id": f"{n}", "summary": f"s{n}", "headline": f"h{n}"} for n in range(count)]
    return prompts.prompts(study, dataset, contents)


def test_every_distinct_headline_stands_once_and_every_technique_points_at_its_own():
    found = made({"a": make_metrics(["x", "y"]), "b": make_metrics(["xx", "y"]), "c": make_metrics(["x", "yy"])})
    assert [[text["text"] for text in row["texts"]] for row in found["rows"]] == [["x", "xx"], ["y", "yy"]]
    assert found["wrote"] == {"a": [0, 0], "b": [1, 0], "c": [0, 1]}
    assert found["latency_s"]["a"] == [0.123457, 0.123457]
    assert found["new_tokens"]["b"] == [7, 7]


def test_of_a_real_study_each_technique_gets_its_headline_and_score_back(tmp_path):
    techniques = [Technique("baseline", None), Technique("fast", speed=2), Technique("bad", damage=0.8, seed=2)]
    written = write_study(tmp_path, techniques, count=12, runs=2)
    found = compare(written)["prompts"]
    assert (found["shown"], found["total"]) == (12, 12)
    for name, path in zip(("baseline", "fast", "bad"), written["metrics"], strict=True):
        with open(path, encoding="utf-8") as handle:
            samples = json.load(handle)["samples"]
        own = [row["texts"][place] for row, place in zip(found["rows"], found["wrote"][name], strict=True)]
        assert [text["text"] for text in own] == samples["headline"]
        for key in rouge.KEYS:
            assert [text[key] for text in own] == pytest.approx(samples[key], abs=5e-5)
        assert found["latency_s"][name] == pytest.approx(samples["latency_s"], rel=1e-5)
        assert found["new_tokens"][name] == samples["new_tokens"]
    assert found["wrote"]["baseline"] == found["wrote"]["fast"] != found["wrote"]["bad"]


def test_only_as_many_as_asked_for_are_shown():
    contents = {"a": make_metrics(["x", "y", "z"])}
    found = made(contents, count=3, examples=2)
    assert (found["shown"], found["total"], len(found["rows"]), len(found["wrote"]["a"])) == (2, 3, 2, 2)
    nothing = made(contents, count=3, examples=0)
    assert (nothing["shown"], nothing["rows"], nothing["wrote"]["a"]) == (0, [], [])
    assert made(contents, count=3)["shown"] == 3


def test_hostile_and_empty_texts_are_passed_through_unchanged():
    found = made({"a": make_metrics([HOSTILE, ""]), "b": make_metrics(["", HOSTILE])})
    assert [[text["text"] for text in row["texts"]] for row in found["rows"]] == [[HOSTILE, ""], ["", HOSTILE]]
    assert found["wrote"] == {"a": [0, 0], "b": [1, 1]}


def test_techniques_without_figures_wrote_nothing():
    failed = {"status": "invalid", "samples": None}
    found = made({"a": failed, "b": make_metrics(["x", "y"])})
    assert list(found["wrote"]) == list(found["latency_s"]) == ["b"]
    alone = made({"a": failed})
    assert alone["wrote"] == {}
    assert [row["texts"] for row in alone["rows"]] == [[], []]


def test_random_weights_have_headlines_without_scores(tmp_path):
    found = compare(write_study(tmp_path, [Technique("baseline", None, changes=RANDOM)], count=4, runs=1))["prompts"]
    assert all(text[key] is None for row in found["rows"] for text in row["texts"] for key in rouge.KEYS)
    assert found["latency_s"]["baseline"][0] > 0


def test_a_text_has_its_score_whoever_else_wrote_it():
    found = made({"a": make_metrics(["x", "y"], scored=False), "b": make_metrics(["x", "z"])})
    assert [text["rouge1"] for text in found["rows"][0]["texts"]] == [0.01]
    assert [text["rouge1"] for text in found["rows"][1]["texts"]] == [None, 0.01]


def test_nothing_that_came_in_is_changed():
    contents = {"a": make_metrics(["x", "y"])}
    before = copy.deepcopy(contents)
    made(contents)["new_tokens"]["a"].append(1)
    assert contents == before


def test_a_category_may_be_missing():
    row = made({"a": make_metrics(["x", "y"])})["rows"][0]
    assert (row["id"], row["category"], row["summary"], row["reference"]) == ("0", "", "s0", "h0")
    assert synthetic.make_dataset(1)[0]["category"] == "NEWS"


def test_an_answer_that_held_more_than_its_headline_is_kept_once_with_what_was_taken_away():
    long = "Well " * 400
    answers = {"a": ["Headline: x", "y", long], "b": ["Headline: x", "y", ""], "c": ["**x**", "y", ""]}
    removed = {"a": [["label"], [], []], "b": [["label"], [], []], "c": [["bold"], [], []]}
    contents = {name: make_metrics(["x", "y", ""]) for name in answers}
    for name, content in contents.items():
        content["samples"] |= {"answer": answers[name], "removed": removed[name], "fault": [None, None, "no headline"]}
    rows = made(contents, count=3)["rows"]
    assert rows[0]["texts"][0]["raw"] == [
        {"answer": "Headline: x", "length": 11, "removed": ["label"], "by": ["a", "b"]},
        {"answer": "**x**", "length": 5, "removed": ["bold"], "by": ["c"]},
    ]
    assert "raw" not in rows[1]["texts"][0]
    (raw,) = rows[2]["texts"][0]["raw"]
    assert (raw["answer"], raw["length"], raw["by"]) == (long[: prompts.RAW_CHARACTERS], 2000, ["a"])

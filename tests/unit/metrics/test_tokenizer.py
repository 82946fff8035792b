# ruff: noqa: RUF001 - other scripts are what is tested
import json
import sys

import pytest
from rouge_score import rouge_scorer

from scripts import score_text
from scripts.metrics import rouge, tokenizer
from scripts.report import rouge_words
from tests.support import synthetic_runs as synthetic

ENGLISH = [
    ("Storm hits the coast. Thousands flee", "Thousands flee as storms hit coast"),
    ("Running U.S. shares rise 2.5%", "US shares rose 2.5% - report"),
    ("", "x"),
]
SAME = [
    "Правительство объявило о налогах",
    "Η κυβέρνηση παραιτήθηκε",
    "政府今天宣布减税。市场上涨",
    "حكومة جديدة اليوم",
    "ข่าววันนี้",
]


def test_on_english_text_unicode_is_rouge_score_without_its_stemmer():
    scores = rouge.rouge_scores(*map(list, zip(*ENGLISH, strict=True)), tokenizer.choose("unicode", []).function)
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for index, (prediction, reference) in enumerate(ENGLISH):
        for key, expected in scorer.score(reference, prediction).items():
            assert scores[key][index] == pytest.approx(expected.fmeasure)


def test_a_text_of_any_script_equals_itself_and_no_other():
    function = tokenizer.choose("auto", SAME).function
    assert rouge.rouge_scores(SAME, SAME, function) == {key: [1.0] * len(SAME) for key in rouge.KEYS}
    scores = rouge.rouge_scores(["Müller tritt zurück"], ["Möller tritt zurück"], function)
    assert scores["rouge1"] == [pytest.approx(2 / 3)]
    # Each Chinese character counts: three of four here.
    assert rouge.rouge_scores(["政府减税"], ["政府增税"], function)["rouge1"] == [pytest.approx(3 / 4)]


def test_sentences_of_scripts_without_spaces_are_told_apart():
    scores = rouge.rouge_scores(
        ["市场上涨。政府减税。"], ["政府减税。市场上涨。"], tokenizer.choose("unicode", []).function
    )
    assert scores["rougeLsum"] == [1.0]
    assert scores["rougeL"][0] < 1


@pytest.mark.parametrize(
    ("references", "name"),
    [
        (["Storm hits the coast as thousands flee"] * 200 + ["Beyoncé sings in a café"], "rouge"),
        (["Sturm trifft die Küste, Tausende fliehen", "Minister tritt zurück"], "unicode"),
        (["Буря обрушилась на побережье"], "unicode"),
        (["2025: 3,5%"], "rouge"),
    ],
)
def test_auto_goes_by_the_letters_of_the_references(references, name):
    assert tokenizer.choose("auto", references).name == name
    for asked in ("rouge", "unicode"):
        assert tokenizer.choose(asked, references).name == asked


def scored(tmp_path, monkeypatch, asked):
    rows = [row | {"headline": SAME[n % len(SAME)]} for n, row in enumerate(synthetic.make_dataset(12))]
    synthetic.write_lines(tmp_path / "eval.jsonl", rows)
    samples = synthetic.make_samples(rows)
    for sample, row in zip(samples, rows, strict=True):
        sample["text"] = row["headline"]
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), samples)
    arguments = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl"), "--run", str(folder)]
    output = tmp_path / f"{asked}.json"
    monkeypatch.setattr(sys, "argv", ["score_text", *arguments, "--tokenizer", asked, "--output", str(output)])
    score_text.main()
    return json.loads(output.read_text())


def test_the_tokenizer_is_in_the_file_of_scores_and_decides_them(tmp_path, monkeypatch):
    auto, english = scored(tmp_path, monkeypatch, "auto"), scored(tmp_path, monkeypatch, "rouge")
    assert auto["tokenizer"]["name"] == "unicode"
    assert auto["tokenizer"]["asked"] == "auto"
    assert set(auto["scores"]["rougeL"]) == {1.0}
    assert english["tokenizer"]["name"] == "rouge"
    assert set(english["scores"]["rougeL"]) == {0.0}
    assert min(auto["scores"]["headline_words"]) >= 3


def test_the_report_names_the_tokenizer_and_blames_it_where_it_must():
    def technique(name, share):
        chosen = {"name": name, "asked": name, "share_beyond_ascii": share}
        return {"label": "Baseline", "text_tokenizer": chosen, "figures": {"rouge1": {"value": 0.02}}}

    assert "any script" in rouge_words.described([technique("unicode", 0.9)])
    assert "a to z" in rouge_words.described([technique("rouge", 0.001)])
    assert rouge_words.unseen_letters([technique("rouge", 0.001)]) == ""
    blamed = rouge_words.unseen_letters([technique("rouge", 0.9)])
    assert "leaves out 90.0% of the references' letters" in blamed
    assert "quality.tokenizer" in blamed
    assert rouge_words.described([{"text_tokenizer": None}, {}]) == ""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import score, score_text
from scripts.foundation.errors import StudyError
from scripts.metrics import copied, rouge, texts
from tests.support import synthetic_runs as synthetic

ROOT = Path(__file__).parents[3]


@pytest.fixture
def written(tmp_path, dataset):
    """A run and its evaluation set on disk."""
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    return synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))


def score_all(monkeypatch, folder, text, *options):
    arguments = ["--technique", "kv_cache", "--dataset", str(folder.parent / "eval.jsonl"), "--runs", str(folder)]
    output = folder.parent / "metrics.json"
    monkeypatch.setattr(sys, "argv", ["score", *arguments, "--text", str(text), *options, "--output", str(output)])
    score.main()
    return json.loads(output.read_text())


def test_rouge_is_that_of_rouge_score():
    from rouge_score import rouge_scorer

    pairs = [
        ("Storm hits the coast. Thousands flee", "Thousands flee as storms hit coast"),
        ("", "x"),
        ("日本", "日本"),
    ]
    scores = rouge.rouge_scores([a for a, _ in pairs], [b for _, b in pairs])
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for index, (prediction, reference) in enumerate(pairs):
        expected = scorer.score(reference, prediction)
        for key in expected:
            assert scores[key][index] == pytest.approx(expected[key].fmeasure)
    # Lsum looks for each sentence of its own, L for one common subsequence: only Lsum forgives the order.
    assert scores["rougeLsum"][0] > scores["rougeL"][0]


@pytest.mark.parametrize(
    ("headline", "expected"),
    [
        ("River bank rises", 2 / 3),
        ("“RIVER” Rises!", 1),
        ("village votes", 0),
        ("River's end", 0),
        ("... —", None),
        ("", None),
    ],
)
def test_copied_share(headline, expected):
    assert copied.copied_share(headline, "The river, near the town, rises.") == pytest.approx(expected)


def test_copied_share_is_the_coverage_of_the_longest_shared_fragments():
    """Against the greedy matching of Newsroom, figure 3, written out."""
    import random

    draw = random.Random(0)
    for _ in range(200):
        summary, headline = (draw.choices(["a", "b", "c", "d", "e", "f", "g", "h"], k=k) for k in (6, 5))
        covered = index = 0
        while index < len(headline):
            longest = max(
                sum(1 for _ in run_of_equals(headline[index:], summary[start:])) for start in range(len(summary))
            )
            covered, index = covered + longest, index + max(longest, 1)
        assert copied.copied_share(" ".join(headline), " ".join(summary)) == covered / len(headline)


def run_of_equals(ours, theirs):
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return
        yield one


def test_scoring_works_offline_with_a_home_that_cannot_be_written(tmp_path, written):
    # A file where the home should be: nothing can be written below it, even by root.
    home = tmp_path / "home"
    home.write_text("")
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
    common = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl")]
    text, output = tmp_path / "metrics" / "text" / "kv_cache.json", tmp_path / "metrics" / "kv_cache.json"
    stages = {
        "scripts.score_text": (["--run", str(written), "--output", str(text)], ("torch", "transformers")),
        "scripts.score": (
            ["--runs", str(written), "--text", str(text), "--output", str(output)],
            ("torch", "transformers", "evaluate", "datasets"),
        ),
    }
    for stage, (arguments, heavy) in stages.items():
        program = (
            "import socket, sys, runpy\n"
            "def refuse(*a, **k): raise AssertionError('network')\n"
            "socket.socket.connect = refuse\n"
            "socket.getaddrinfo = refuse\n"
            f"runpy.run_module('{stage}', run_name='__main__')\n"
            f"found = [name for name in {heavy} if name in sys.modules]\n"
            "assert not found, found\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, *common, *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())["figures"]
    assert figures["rouge1"]["value"] > 0.5
    assert 0.5 < figures["copied_share"]["value"] <= 1
    assert figures["headline_words"]["value"] == 7


def test_the_fixed_mode_has_no_part_in_the_text(tmp_path, written, monkeypatch):
    (written / "fixed.jsonl").unlink()
    arguments = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl"), "--run", str(written)]
    monkeypatch.setattr(sys, "argv", ["score_text", *arguments, "--output", str(tmp_path / "text.json")])
    score_text.main()
    content = json.loads((tmp_path / "text.json").read_text())
    assert content["quality_measured"] is True
    assert {len(values) for values in content["scores"].values()} == {12}


@pytest.mark.parametrize(
    "changes",
    [
        {"models": {"target": {"source": "random", "random_weights": True, "dtype": "float32"}}},
        {"settings": {"model": "small", "prompt_tokens": 64}},
    ],
)
def test_text_that_means_nothing_is_not_scored(tmp_path, dataset, metrics, monkeypatch, changes):
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    result = metrics((synthetic.make_run("kv_cache", **changes), synthetic.make_samples(dataset)))
    assert json.loads((tmp_path / "text.json").read_text())["scores"] is None
    assert result["quality_measured"] is False
    for key in (*rouge.KEYS, "copied_share", "semantic_similarity", "reference_nll_per_token", "empty_share"):
        assert result["figures"][key]["value"] is None
        assert result["figures"][key]["note"] == result["unscored_reason"]
    assert "not measured" in result["unscored_reason"]


def changed(content, **changes):
    return json.dumps(content | changes)


FAULTS = {
    "other headlines": (lambda c: changed(c, headlines_digest="sha256:0"), "scores other headlines than those of"),
    "other technique": (lambda c: changed(c, technique="int8"), "of 'int8', not of 'kv_cache'"),
    "nothing scored": (lambda c: changed(c, scores=None), "whether there is anything to score"),
    "one missing": (lambda c: changed(c, scores=c["scores"] | {"rouge1": [1.0]}), "'rouge1' is not one number"),
    "not a number": (lambda c: changed(c, scores=c["scores"] | {"rouge2": ["x"] * 12}), "'rouge2' is not one number"),
    "nan": (lambda c: changed(c, scores=c["scores"] | {"rougeL": [float("nan")] * 12}), "'rougeL' is not one number"),
    "no copied share": (lambda c: changed(c, scores={k: c["scores"][k] for k in rouge.KEYS}), "'copied_share'"),
    "no object": (lambda c: "[]", "no 'scores'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_text_scores_that_do_not_belong_are_refused_in_one_sentence(tmp_path, dataset, written, monkeypatch, fault):
    path = synthetic.write_text(tmp_path / "text.json", "kv_cache", dataset, written)
    assert score_all(monkeypatch, written, path)["status"] == "ok"
    damage, message = FAULTS[fault]
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(StudyError, match=message) as error:
        score_all(monkeypatch, written, path)
    assert "run score_text again" in str(error.value)


def test_one_changed_headline_is_another_digest(tmp_path, dataset, read):
    samples = synthetic.make_samples(dataset)
    first = read(synthetic.write_run(tmp_path / "a", synthetic.make_run("kv_cache"), samples))
    samples[11]["text"] += "."
    second = read(synthetic.write_run(tmp_path / "b", synthetic.make_run("kv_cache"), samples))
    assert texts.headlines_digest(first) != texts.headlines_digest(second)


def test_the_bound_of_the_spread_is_an_argument(tmp_path, dataset, written, monkeypatch):
    path = synthetic.write_text(tmp_path / "text.json", "kv_cache", dataset, written)
    slow = synthetic.write_run(
        tmp_path / "run-2", synthetic.make_run("kv_cache", 2), synthetic.make_samples(dataset, speed=0.8)
    )
    options = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl"), "--text", str(path)]
    found = []
    for bound in ("0.05", "0.5"):
        output = tmp_path / "out.json"
        more = ["--runs", str(written), str(slow), "--spread-bound", bound, "--output", str(output)]
        monkeypatch.setattr(sys, "argv", ["score", *options, *more])
        score.main()
        found.append([flag["kind"] for flag in json.loads(output.read_text())["flags"]])
    assert found == [["spread"], []]


def test_an_empty_dataset_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "eval.jsonl").write_text("")
    arguments = ["--technique", "a", "--dataset", str(tmp_path / "eval.jsonl"), "--runs", "x", "--text", "t"]
    monkeypatch.setattr(sys, "argv", ["score", *arguments, "--output", "y"])
    with pytest.raises(StudyError, match="has no rows"):
        score.main()

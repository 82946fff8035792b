"""Which headlines a classifier takes to follow from their summaries."""

import json
import sys

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
)

from scripts import score, score_entailment
from scripts.foundation.errors import StudyError
from scripts.metrics import entailment
from tests.support import synthetic_runs as synthetic
from tests.support import tiny_checkpoint as tiny

NLI = {0: "CONTRADICTION", 1: "neutral", 2: "Entailment"}


def make(directory, kind=BertForSequenceClassification, labels=NLI):
    tokenizer = tiny.make_tokenizer()
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, pad_token_id=tokenizer.pad_token_id, id2label=labels,
        label2id={text: index for index, text in labels.items()}, initializer_range=0.5,
    )  # fmt: skip
    kind(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make(tmp_path_factory.mktemp("nli") / "classifier")


def test_a_headline_is_entailed_where_that_label_comes_first(model, dataset, tmp_path):
    headlines = [*(row["headline"] for row in dataset[1:]), " "]
    summaries = [row["summary"] for row in dataset]
    found = entailment.judged(summaries, headlines, model, "test")
    classifier, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(model).eval(),
        AutoTokenizer.from_pretrained(model),
    )
    expected = []
    for summary, headline in zip(summaries[:-1], headlines[:-1], strict=True):
        with torch.inference_mode():
            ids = tokenizer(summary, headline, return_tensors="pt", truncation="longest_first", max_length=38)
            expected.append(float(int(classifier(**ids).logits.argmax()) == 2))
    assert found == [*expected, None]
    other = make(tmp_path / "other", labels={0: "neutral", 1: "entailment", 2: "contradiction"})
    assert entailment.judged(summaries, headlines, other, "test") != found


@pytest.mark.parametrize(("labels", "index"), [
    (NLI, 2), ({"0": "entailment", "1": "not_entailment"}, 0), ({0: "no", 1: "entails"}, 1),
    ({0: "LABEL_0", 1: "LABEL_1"}, None), ({0: "entailment", 1: "entailed"}, None), (None, None),
])  # fmt: skip
def test_the_label_is_read_from_the_config(labels, index):
    if index is None:
        with pytest.raises(StudyError, match="names no single label for entailment"):
            entailment.entailment_label(labels, "config.json")
    else:
        assert entailment.entailment_label(labels, "config.json") == index


def test_a_model_without_a_trained_head_is_refused(tmp_path):
    with pytest.raises(StudyError, match="has no weights of a classifier"):
        entailment.judged(["A"], ["B"], make(tmp_path / "plain", kind=BertModel), "test")
    with pytest.raises(StudyError, match="holds no classifier"):
        entailment.judged(["A"], ["B"], tmp_path, "test")


def test_the_stage_and_the_figure(model, dataset, tmp_path, monkeypatch):
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))
    text = synthetic.write_text(tmp_path / "text.json", "kv_cache", dataset, folder)
    common = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl")]
    judged = tmp_path / "entailment.json"
    monkeypatch.setattr(
        sys, "argv", ["", *common, "--run", str(folder), "--model", str(model), "--output", str(judged)]
    )
    score_entailment.main()
    values = json.loads(judged.read_text())["scores"]["entailed_share"]
    output = tmp_path / "metrics.json"
    arguments = ["--runs", str(folder), "--text", str(text), "--entailment", str(judged), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["", *common, *arguments])
    score.main()
    content = json.loads(output.read_text())
    figure = content["figures"]["entailed_share"]
    assert figure["value"] == pytest.approx(sum(values) / 12)
    assert (figure["unit"], figure["n"]) == ("1", 12)
    assert "references themselves are often not entailed" in figure["note"]
    assert content["entailment_model"] == {"name": "classifier"}
    assert content["samples"]["entailment_counted"] == [1.0] * 12

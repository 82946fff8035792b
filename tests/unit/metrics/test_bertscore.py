"""BERTScore by a local model: its value, its options, and its way into a figure."""

import json
import math
import sys

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from scripts import score, score_bertscore
from scripts.foundation.errors import StudyError
from scripts.metrics import bertscore
from tests.support import synthetic_runs as synthetic
from tests.support import tiny_checkpoint as tiny

HEADLINES = ["Storm hits the coast", "Bank", "The mayor of Norwich said on Monday that the bridge will open", ""]
REFERENCES = ["The storm hit the coast at night", "Shares of the bank fell by 4%", "New bridge", "River rises"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny BERT whose weights are a formula, and a tokenizer that puts a token before and one behind a text."""
    from tokenizers import processors

    directory = tmp_path_factory.mktemp("bertscore") / "matcher"
    tokenizer = tiny.make_tokenizer()
    around = [(name, tokenizer.convert_tokens_to_ids(name)) for name in (tiny.BEGIN, tiny.END)]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{tiny.BEGIN} $A {tiny.END}", special_tokens=around
    )
    tokenizer.cls_token, tokenizer.sep_token = tiny.BEGIN, tiny.END
    tokenizer.save_pretrained(directory)
    made = BertModel(BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, pad_token_id=tokenizer.pad_token_id,
    ))  # fmt: skip
    with torch.no_grad():
        for number, (name, weight) in enumerate(sorted(made.named_parameters())):
            if "LayerNorm" not in name:
                weight.copy_(0.3 * torch.sin(torch.arange(weight.numel()) * 1.7 + number).view_as(weight))
    made.save_pretrained(directory)
    return directory


def by_hand(model, headline, reference, layer, weights=None):
    """The definition, token by token, of two texts without padding."""
    encoder, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)

    def tokens(text):
        ids = tokenizer(text)["input_ids"]
        with torch.inference_mode():
            states = encoder(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
        return ids, torch.nn.functional.normalize(states, dim=-1)

    def matched(one, other):
        (ids, states), (_, others) = one, other
        found = [(1.0 if weights is None else weights(token), max(float(state @ each) for each in others))
                 for token, state in list(zip(ids, states, strict=True))[1:-1]]  # fmt: skip
        return sum(weight * value for weight, value in found) / sum(weight for weight, _ in found)

    ours, theirs = tokens(headline), tokens(reference)
    precision, recall = matched(ours, theirs), matched(theirs, ours)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [1, 3, 4])
def test_each_token_is_matched_with_the_nearest_whatever_stands_beside(model, layer):
    """Against the definition one pair at a time, with texts of all lengths in one batch."""
    found = bertscore.f1(HEADLINES, REFERENCES, model, layer, False, "test")
    expected = [by_hand(model, *pair, layer) for pair in zip(HEADLINES[:3], REFERENCES[:3], strict=True)]
    assert found == pytest.approx([*expected, 0.0], abs=1e-5)
    alone = [bertscore.f1([a], [b], model, layer, False, "test")[0] for a, b in zip(HEADLINES, REFERENCES, strict=True)]
    assert found == pytest.approx(alone, abs=1e-5)


def test_rare_tokens_count_more_where_that_is_asked_for(model):
    tokenizer = AutoTokenizer.from_pretrained(model)
    sets = [set(tokenizer(text)["input_ids"]) for text in REFERENCES]

    def idf(token):
        return math.log((len(sets) + 1) / (sum(token in each for each in sets) + 1))

    found = bertscore.f1(HEADLINES, REFERENCES, model, 3, True, "test")
    expected = [by_hand(model, *pair, 3, idf) for pair in zip(HEADLINES[:3], REFERENCES[:3], strict=True)]
    assert found[:3] == pytest.approx(expected, abs=1e-5)
    assert found[:3] != pytest.approx(bertscore.f1(HEADLINES, REFERENCES, model, 3, False, "test")[:3], abs=1e-4)


def test_equal_texts_are_one_and_long_ones_are_cut(model):
    long = "the mayor said " * 100
    found = bertscore.f1(["Storm", long], ["Storm", long], model, None, False, "test")
    assert found == pytest.approx([1, 1], abs=1e-6)
    assert max(found) <= 1


def test_the_layer_is_three_quarters_up_unless_the_study_says(model):
    assert [bertscore.default_layer(layers) for layers in (1, 4, 12, 24)] == [1, 3, 9, 18]
    assert bertscore.f1(HEADLINES, REFERENCES, model, None, False, "") == bertscore.f1(
        HEADLINES, REFERENCES, model, 3, False, ""
    )
    with pytest.raises(StudyError, match=r"quality\.bertscore\.layer is 5, and .* has 4 layers; lower it"):
        bertscore.f1(["A"], ["B"], model, 5, False, "")


def test_the_stage_and_the_figure(model, dataset, tmp_path, monkeypatch):
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))
    text = synthetic.write_text(tmp_path / "text.json", "kv_cache", dataset, folder)
    common = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl")]
    scored, output = tmp_path / "bertscore.json", tmp_path / "metrics.json"
    asked = ["--run", str(folder), "--model", str(model), "--layer", "2", "--idf", "--output", str(scored)]
    monkeypatch.setattr(sys, "argv", ["", *common, *asked])
    score_bertscore.main()
    content = json.loads(scored.read_text())
    headlines = [sample["text"] for sample in synthetic.make_samples(dataset)]
    references = [row["headline"] for row in dataset]
    assert content["scores"]["bertscore_f1"] == bertscore.f1(headlines, references, model, 2, True, "")
    assert content["model"] == {"name": "matcher", "layer": "layer 2 of 4", "weights": "idf weights"}
    asked = ["--runs", str(folder), "--text", str(text), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["", *common, *asked, "--bertscore", str(scored)])
    score.main()
    metrics = json.loads(output.read_text())
    figure = metrics["figures"]["bertscore_f1"]
    assert figure["value"] == pytest.approx(sum(content["scores"]["bertscore_f1"]) / 12)
    assert figure["low"] < figure["value"] < figure["high"]
    assert metrics["samples"]["bertscore_f1"] == content["scores"]["bertscore_f1"]
    assert metrics["bertscore_model"] == content["model"]
    monkeypatch.setattr(sys, "argv", ["", *common, *asked])
    score.main()
    figure = json.loads(output.read_text())["figures"]["bertscore_f1"]
    assert (figure["value"], figure["note"]) == (None, "not scored: the study names no model for it")

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from scripts import score, score_semantic
from scripts.foundation.errors import StudyError
from scripts.metrics import semantic
from tests.support import synthetic_runs as synthetic
from tests.support import tiny_checkpoint as tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny encoder with random weights: of no sense, but with the form of a text model."""
    directory = tmp_path_factory.mktemp("semantic") / "encoder"
    tokenizer = tiny.make_tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    BertModel(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def run_stage(monkeypatch, tmp_path, folder, model):
    output = tmp_path / "semantic.json"
    arguments = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl"), "--run", str(folder)]
    monkeypatch.setattr(sys, "argv", ["score_semantic", *arguments, "--model", str(model), "--output", str(output)])
    score_semantic.main()
    return output, json.loads(output.read_text())


@pytest.fixture
def written(tmp_path, dataset):
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    return synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))


def test_it_is_the_cosine_of_the_mean_states_whatever_stands_beside(model):
    """Against one text at a time, where there is no padding to leave out."""
    headlines, references = ["Storm hits the coast", "A", "", "Bank falls"], ["The storm hit the coast at night"] * 4
    found = semantic.similarities(headlines, references, model, "test")
    encoder, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)

    def mean(text):
        with torch.inference_mode():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            return encoder(input_ids=ids).last_hidden_state[0].mean(dim=0)

    for headline, reference, similarity in zip(headlines, references, found, strict=True):
        if headline:
            expected = torch.cosine_similarity(mean(headline), mean(reference), dim=0)
            assert similarity == pytest.approx(float(expected), abs=1e-5)
    assert found[2] == 0


def test_equal_texts_are_one_and_long_ones_are_cut(model):
    long = "the mayor said " * 100
    found = semantic.similarities(["Storm", long], ["Storm", long], model, "test")
    assert found == pytest.approx([1, 1], abs=1e-6)
    assert max(found) <= 1
    assert semantic.similarities([""], [""], model, "test") == [0]


def test_a_decoder_will_do_too(tmp_path):
    directory = tiny.make_checkpoint(tmp_path / "decoder")
    assert semantic.similarities(["Storm"], ["Storm"], directory, "test") == pytest.approx([1], abs=1e-6)


def test_scores_become_a_figure(tmp_path, dataset, written, model, monkeypatch):
    output, content = run_stage(monkeypatch, tmp_path, written, model)
    assert len(content["scores"]["semantic_similarity"]) == 12
    assert content["model"] == {"name": "encoder"}
    text = synthetic.write_text(tmp_path / "text.json", "kv_cache", dataset, written)
    arguments = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl"), "--runs", str(written)]
    arguments += ["--text", str(text), "--output", str(tmp_path / "metrics.json")]
    monkeypatch.setattr(sys, "argv", ["score", *arguments, "--semantic", str(output)])
    score.main()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    mean = sum(content["scores"]["semantic_similarity"]) / 12
    assert metrics["figures"]["semantic_similarity"]["value"] == pytest.approx(mean)
    assert metrics["samples"]["semantic_similarity"] == content["scores"]["semantic_similarity"]
    assert metrics["semantic_model"] == {"name": "encoder"}
    output.write_text(json.dumps(content | {"headlines_digest": "sha256:0"}))
    with pytest.raises(StudyError, match=r"other headlines than those of .* run score_semantic again"):
        score.main()
    monkeypatch.setattr(sys, "argv", ["score", *arguments])
    score.main()
    figure = json.loads((tmp_path / "metrics.json").read_text())["figures"]["semantic_similarity"]
    assert figure["value"] is None
    assert figure["note"] == "not scored: the study names no model for it"


def test_the_model_may_be_named_by_its_manifest(tmp_path, written, model, monkeypatch):
    folder = tmp_path / "models-semantic"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"path": str(model), "repository": "a/b", "revision": "c" * 40}))
    _, content = run_stage(monkeypatch, tmp_path, written, folder / "manifest.json")
    assert content["quality_measured"] is True
    assert content["model"] == {"name": "a/b", "revision": "c" * 40}
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(StudyError, match="has no 'path'"):
        run_stage(monkeypatch, tmp_path, written, folder / "manifest.json")


def test_random_weights_are_not_scored(tmp_path, dataset, monkeypatch):
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    models = {"target": synthetic.make_model("small", source="random")}
    run = synthetic.make_run("kv_cache", models=models)
    folder = synthetic.write_run(tmp_path / "run-1", run, synthetic.make_samples(dataset))
    # Nor is the model looked at.
    _, content = run_stage(monkeypatch, tmp_path, folder, Path("/nowhere"))
    assert content["scores"] is None


def test_only_safetensors_and_no_code_of_the_models_own(tmp_path, model):
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    with pytest.raises(StudyError, match=r"config\.json is missing"):
        semantic.similarities(["a"], ["a"], nothing, "test")
    pickled = shutil.copytree(model, tmp_path / "pickled")
    torch.save({}, pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(StudyError, match="no weights as safetensors"):
        semantic.similarities(["a"], ["a"], pickled, "test")
    remote = shutil.copytree(model, tmp_path / "remote")
    config = json.loads((remote / "config.json").read_text())
    trap = tmp_path / "trap"
    (remote / "modeling_own.py").write_text(f"open({str(trap)!r}, 'w')\nclass Own: pass\n")
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "modeling_own.Own", "AutoModel": "modeling_own.Own"}}
    (remote / "config.json").write_text(json.dumps(config))
    with pytest.raises(StudyError, match="can't be loaded"):
        semantic.similarities(["a"], ["a"], remote, "test")
    assert not trap.exists()


def as_sentence_encoder(model, directory, pooling, *more, **settings):
    """Copy the encoder into a folder as sentence-transformers writes them."""
    shutil.copytree(model, directory)
    kinds = ["Transformer", "Pooling", *more]
    modules = [
        {
            "idx": at,
            "name": str(at),
            "path": "" if at == 0 else f"{at}_{kind}",
            "type": f"sentence_transformers.models.{kind}",
        }
        for at, kind in enumerate(kinds)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | pooling))
    (directory / "sentence_bert_config.json").write_text(json.dumps(settings))
    return directory


@pytest.mark.parametrize(("pooling", "pooled"), [
    ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, lambda states: states[0]),
    ({"pooling_mode_mean_tokens": True}, lambda states: states.mean(dim=0)),
    ({"pooling_mode": "max"}, lambda states: states.amax(dim=0)),
    ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True},
     lambda states: torch.cat([states.amax(dim=0), states.mean(dim=0)])),
    ({"pooling_mode_lasttoken": True}, lambda states: states[-1]),
])  # fmt: skip
def test_a_sentence_encoder_is_pooled_as_its_folder_asks(model, tmp_path, pooling, pooled):
    """Against one text at a time, over texts of several lengths."""
    folder = as_sentence_encoder(model, tmp_path / "stock", pooling, "Normalize", max_seq_length=6, do_lower_case=True)
    texts = ["STORM", "Storm hits the coast at night and the river rises"], ["A storm", "The bank"]
    found = semantic.similarities(*texts, folder, "test")
    encoder, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)

    def vector(text):
        with torch.inference_mode():
            ids = torch.tensor([tokenizer(text.lower(), truncation=True, max_length=6)["input_ids"]])
            return pooled(encoder(input_ids=ids).last_hidden_state[0])

    expected = [float(torch.cosine_similarity(vector(a), vector(b), dim=0)) for a, b in zip(*texts, strict=True)]
    assert found == pytest.approx(expected, abs=1e-5)


def test_dense_layers_behind_the_pooling_count(model, tmp_path):
    from safetensors.torch import save_file

    folder = as_sentence_encoder(model, tmp_path / "stock", {"pooling_mode_mean_tokens": True}, "Dense")
    (folder / "2_Dense").mkdir()
    config = {"in_features": 32, "out_features": 8, "activation_function": "torch.nn.modules.activation.Tanh"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(1))
    save_file({"linear.weight": weight, "linear.bias": torch.ones(8)}, folder / "2_Dense" / "model.safetensors")
    plain = semantic.similarities(["A storm"], ["The bank"], model, "test")
    found = semantic.similarities(["A storm", ""], ["The bank", ""], folder, "test")
    encoder, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    vectors = []
    for text in ("A storm", "The bank"):
        with torch.inference_mode():
            states = encoder(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0]
        vectors.append(torch.tanh(weight @ states.mean(dim=0) + 1))
    assert found[0] == pytest.approx(float(torch.cosine_similarity(*vectors, dim=0)), abs=1e-5)
    assert found[0] != pytest.approx(plain[0], abs=1e-3)


@pytest.mark.parametrize(("pooling", "more", "message"), [
    ({"pooling_mode_weightedmean_tokens": True}, (), "asks for the pooling 'weightedmean_tokens'; known are cls_token"),
    ({}, (), "asks for no pooling"),
    ({"pooling_mode_mean_tokens": True}, ("LSTM",), "asks for 'LSTM' in '2_LSTM'"),
])  # fmt: skip
def test_an_encoder_of_unknown_parts_is_refused(model, tmp_path, pooling, more, message):
    folder = as_sentence_encoder(model, tmp_path / "stock", pooling, *more)
    with pytest.raises(StudyError, match=message):
        semantic.similarities(["A"], ["B"], folder, "test")


def test_the_way_of_pooling_is_in_the_key_of_a_stock_encoder(model, tmp_path):
    from scripts.models.sources.path import Settings

    folder = as_sentence_encoder(model, tmp_path / "stock", {"pooling_mode_mean_tokens": True})
    Settings(str(folder)).check("quality.semantic", "encoder")
    before = Settings(str(folder)).fingerprint()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert Settings(str(folder)).fingerprint() != before

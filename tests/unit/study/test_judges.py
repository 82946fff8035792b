"""Models that judge headlines are checked with the study, since their answer comes after all runs."""

import json

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import layers
from scripts.study.configuration import check


def test_a_model_that_is_no_classifier_is_refused_before_anything_runs(tmp_path, checkpoint):
    def studied(content):
        folder = tmp_path / "judge"
        folder.mkdir(exist_ok=True)
        for file in checkpoint.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "study.yaml").write_text(
            f"quality: {{entailment: {{source: path, path: {{path: {folder}}}}}}}\n", encoding="utf-8"
        )
        return check(layers.read([tmp_path / "study.yaml"], []).config)

    content = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    with pytest.raises(StudyError, match=r"quality\.entailment: the checkpoint is of LlamaForCausalLM, no classifier"):
        studied(content)
    for fine in (["LlamaForSequenceClassification"], None):
        assert studied(content | {"architectures": fine})


def test_a_layer_that_a_model_lacks_is_refused_before_anything_runs(tmp_path, checkpoint):
    def studied(layer):
        asked = f"{{source: path, layer: {layer}, path: {{path: {checkpoint}}}}}"
        (tmp_path / "study.yaml").write_text(f"quality: {{bertscore: {asked}}}\n", encoding="utf-8")
        return check(layers.read([tmp_path / "study.yaml"], []).config)

    with pytest.raises(StudyError, match=r"quality\.bertscore\.layer is 3, and the model has 2 layers; lower it"):
        studied(3)
    for fine in (2, "null"):
        assert studied(fine)

"""What is served: a technique of the study in a folder, or the request of a run."""

import shutil

import pytest

from scripts import serve
from scripts.foundation.errors import StudyError
from scripts.runtime.errors import UnsupportedError
from scripts.server.process import refuse_unserved
from tests.support.tiny_checkpoint import write_dataset
from tests.support.worker_runs import settings


@pytest.fixture
def request_of(monkeypatch):
    def read(*arguments):
        monkeypatch.setattr("sys.argv", ["serve", *arguments])
        with serve._request(serve._arguments()) as request:
            return request

    return read


@pytest.fixture
def folder(tmp_path, monkeypatch, checkpoint):
    """A folder in which a study has made its models and its data."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "results" / "dataset" / "eval.jsonl")
    for model in ("small", "large"):
        shutil.copytree(checkpoint, tmp_path / "results" / "models" / model)
    return tmp_path


def test_a_technique_of_the_study_in_this_folder_need_not_be_selected(folder, request_of):
    (folder / "study.yaml").write_text(
        "select: [baseline]\n"
        "techniques: {mine: {extends: baseline, kv_cache: dynamic, engine: {name: graph, slots: 5}}}\n"
    )
    request = request_of("--technique", "mine", "--configfile", "study.yaml", "--config", "measurement={device: cpu}")
    assert request["technique"] == "mine"
    assert request["settings"]["engine"] == {
        "name": "graph", "shared_prefix": False, "slots": 5, "prefill_tokens": 2048,
    }  # fmt: skip
    assert request["models"]["target"]["path"].startswith(str(folder / "results" / "models"))
    refuse_unserved("mine", request["settings"])


def test_techniques_that_do_not_go_with_the_studys_models_are_not_asked_about(folder, request_of, checkpoint):
    (folder / "study.yaml").write_text(
        f"models: {{small: {{source: path, path: {{path: {checkpoint}}}}}}}\nselect: [kv_cache, graph]\n"
        "measurement: {reference: kv_cache, device: cpu}\nload: {techniques: [graph]}\n"
    )
    assert request_of("--technique", "graph", "--configfile", "study.yaml")["technique"] == "graph"


def test_an_unknown_technique_is_said(folder, request_of):
    with pytest.raises(StudyError, match="--technique is \"grahp\", which is no technique; perhaps 'graph' is meant"):
        request_of("--technique", "grahp")


def test_a_study_that_puts_another_technique_under_load_is_served(folder, request_of):
    study = ("select=[graph]", "load={techniques: [graph]}", "measurement={device: cpu}")
    assert request_of("--technique", "continuous_batch", "--config", *study)["technique"] == "continuous_batch"


def test_a_folder_without_the_studys_models_is_said(tmp_path, monkeypatch, request_of):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"results/\S+ is missing; run the study in this folder first"):
        request_of("--technique", "graph")


@pytest.mark.parametrize(
    ("content", "said"), [("{", "is not valid JSON"), ("[]", "lacks"), ('{"technique": "x"}', "lacks")]
)
def test_a_file_that_is_no_request_is_said(tmp_path, request_of, content, said):
    (tmp_path / "request.json").write_text(content)
    with pytest.raises(StudyError, match=said):
        request_of("--request", str(tmp_path / "request.json"))


@pytest.mark.parametrize(
    ("facets", "said"),
    [
        ({"engine": "transformers_static"}, "answers one batch after another"),
        ({"engine": {"name": "graph", "shared_prefix": True}}, "shared_prefix"),
        ({"engine": "graph", "speculation": {"prompt_lookup": 3}}, "speculation"),
        ({"engine": "graph", "parallel": {"tensor": 2}}, "parallel"),
        ({}, "transformers' generate"),
    ],
    ids=str,
)
def test_what_does_not_serve_requests_as_they_come_says_so(facets, said):
    with pytest.raises(UnsupportedError, match=said):
        refuse_unserved("technique", settings(**facets))


def test_numbers_that_can_not_be_are_refused(request_of, capsys):
    for option, value in (("--port", "70000"), ("--slots", "0"), ("--max-length", "x")):
        with pytest.raises(SystemExit):
            request_of("--technique", "graph", option, value)
    assert "invalid number from 1 value: '0'" in capsys.readouterr().err

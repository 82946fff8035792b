"""Requests: what a file gives is what the command line would give, and what a stage can't take is one sentence."""

import argparse
import json
from pathlib import Path

import pytest

from scripts.foundation import request_file
from scripts.foundation.errors import StudyError


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("--settings", type=json.loads, required=True)
    made.add_argument("--output", type=Path, required=True)
    made.add_argument("--time-limit", type=float, default=3)
    made.add_argument("--metrics", nargs="+")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return made


def parsed(folder: Path, content: object, *more: str) -> argparse.Namespace:
    path = folder / "request.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return request_file.parse(parser(), ["--request", str(path), *more])


def test_a_request_holds_the_arguments_by_name(tmp_path):
    given = parsed(tmp_path, {"settings": {"a": "{b}"}, "output": "x/y", "time_limit": None, "metrics": ["1", "2"]})
    assert (given.settings, given.output, given.time_limit) == ({"a": "{b}"}, Path("x/y"), 3)
    assert given.metrics == ["1", "2"]


def test_the_command_line_takes_the_place_of_the_request(tmp_path):
    given = parsed(tmp_path, {"settings": {}, "output": "x"}, "--output", "elsewhere", "--settings", "[1]")
    assert (given.settings, given.output) == ([1], Path("elsewhere"))


def test_without_a_request_the_command_line_is_all_there_is():
    assert request_file.parse(parser(), ["--settings", "1", "--output", "x"]).output == Path("x")
    with pytest.raises(SystemExit):
        request_file.parse(parser(), ["--settings", "1"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ([1], "is no JSON object"),
        ({"setting": 1}, "names 'setting', which this stage does not have; it has settings, output"),
        ({"output": ["x"]}, r"'output' is \[.x.\], and takes text; correct it"),
        ({"output": 5}, "'output' is 5, and takes text"),
        ({"settings": 5}, "'settings' is 5, and takes a JSON object"),
        ({"time_limit": True}, "'time_limit' is true, and takes a number"),
        ({"metrics": "x"}, "'metrics' is \"x\", and takes a list of texts"),
        ({"device": []}, r"'device' is \[\], and takes cpu or cuda"),
    ],
)
def test_a_request_that_the_stage_cant_take_is_one_sentence(tmp_path, content, said):
    with pytest.raises(StudyError, match=said):
        parsed(tmp_path, content)
    with pytest.raises(StudyError, match="can't be read"):
        request_file.parse(parser(), ["--request", str(tmp_path / "missing.json")])

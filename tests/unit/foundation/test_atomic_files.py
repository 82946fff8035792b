import json
import os
import stat

import pytest

from scripts.foundation import files
from scripts.foundation.errors import StudyError


def contents(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    path = tmp_path / "run.json"
    files.write_text(path, "old")

    def fail_half_way():
        with files.atomic_writer(path) as handle:
            handle.write("new, but only ha")
            handle.flush()
            raise error

    with pytest.raises(error):
        fail_half_way()

    assert path.read_text() == "old"
    assert contents(tmp_path) == ["run.json"]


def test_the_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "made" / "on the way" / "samples.jsonl"
    with files.atomic_writer(path) as handle:
        handle.write("first half")
        handle.flush()
        assert not path.exists()
    assert path.read_text() == "first half"
    assert contents(path.parent) == ["samples.jsonl"]


def test_a_result_is_readable_like_any_other_file(tmp_path):
    mask = os.umask(0o022)
    try:
        files.write_text(tmp_path / "a", "")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_json_does_not_have_is_refused(tmp_path, figure):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"latency_s": figure})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json_lines(tmp_path / "a.jsonl", [{"latency_s": 1.0}, {"latency_s": figure}])
    assert contents(tmp_path) == []


def test_any_text_survives_as_one_line(tmp_path):
    texts = ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg", "line\nbreak\r\n", "\u202etrailing", "日本 🚀 \x00", ""]
    path = tmp_path / "texts.jsonl"
    assert files.write_json_lines(path, ({"text": text} for text in texts)) == len(texts)
    assert [row["text"] for row in files.read_json_lines(path)] == texts
    assert path.read_bytes().count(b"\n") == len(texts)


def test_json_is_written_as_it_is_read(tmp_path):
    value = {"reason": None, "text": "\u2028“”", "tokens": [1, 2], "share": 0.1, "z": 1, "a": 2}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert list(json.loads((tmp_path / "a.json").read_text())) == list(value)


@pytest.mark.parametrize("read", [files.read_json, files.read_json_lines])
def test_a_file_that_is_missing_or_broken_is_named(tmp_path, read):
    with pytest.raises(StudyError, match=r"absent\.json does not exist"):
        read(tmp_path / "absent.json")
    for broken in (b'{"a": ', b"\xff\xfe{}"):
        (tmp_path / "broken.json").write_bytes(broken)
        with pytest.raises(StudyError, match=r"broken\.json"):
            read(tmp_path / "broken.json")


def test_a_broken_line_is_named_by_its_number(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n{"a"\n')
    with pytest.raises(StudyError, match="line 4"):
        files.read_json_lines(tmp_path / "a.jsonl")

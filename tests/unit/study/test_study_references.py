from pathlib import Path

import pytest
import yaml

from scripts.foundation.errors import StudyError
from scripts.study import references

ROOT = Path(__file__).resolve().parents[3]
BUILT_IN = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def content(**changes):
    """A small reference that is right."""
    return {
        "id": "other",
        "title": "Other",
        "date": "2024-12",
        "baseline": "Plain",
        "columns": [
            {"key": "t", "title": "Time", "unit": "s", "better": "lower", "measures": "latency", "form": "absolute"}
        ],
        "rows": [{"name": "Plain", "technique": "baseline", "reported": {"t": 2.0}}],
    } | changes


def written(path, value):
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value), encoding="utf-8")
    return str(path)


def refusal(path):
    with pytest.raises(StudyError) as error:
        references.read([path])
    sentence = str(error.value)
    assert "\n" not in sentence
    assert sentence.startswith(f"references: {path}") or f"the file {path}" in sentence
    assert sentence.endswith(".")
    return sentence


def test_what_a_file_leaves_out_is_null_or_empty(tmp_path):
    (read,) = references.read([written(tmp_path / "a.yaml", content())])
    assert read["model"] is read["note"] is read["prompt"] is None
    assert read["faults"] == read["choices"] == read["top_three"] == []
    assert read["rows"][0]["reported"] == {"t": 2.0}


def test_no_file_is_no_reference():
    assert references.read([]) == []


def test_paths_are_from_the_projects_root_wherever_it_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [read["id"] for read in references.read(BUILT_IN["references"])] == [
        "executive_summary_2024",
        "benchmark_2025",
    ]


def test_the_built_in_references_name_techniques_and_scenarios_of_the_built_in_study():
    for reference in references.read(BUILT_IN["references"]):
        assert {row["technique"] for row in reference["rows"]} <= set(BUILT_IN["techniques"])
        assert {choice["scenario"] for choice in reference["choices"]} <= set(BUILT_IN["scenarios"])


def test_the_built_in_references_say_that_they_were_not_measured_here():
    for path in BUILT_IN["references"]:
        assert "None of these figures was measured by this project" in (ROOT / path).read_text(encoding="utf-8")


def test_a_missing_file(tmp_path):
    assert "does not exist" in refusal(str(tmp_path / "gone.yaml"))
    assert "is a directory" in refusal(str(tmp_path))


def test_text_that_is_not_yaml_names_the_line(tmp_path):
    assert "line 2 is not YAML" in refusal(written(tmp_path / "a.yaml", "id: a\nrows: 1, a: 2\n"))
    assert "is not YAML" in refusal(written(tmp_path / "b.yaml", "id: \x07"))


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"title: \xff\xfe")
    assert "not UTF-8" in refusal(str(path))


def with_row(**changes):
    return content(rows=[content()["rows"][0] | changes])


FAULTS = {
    "empty": ("", "the file"),
    "a list": ([1], "the file"),
    "unknown key": (content(colums=[]), "colums"),
    "no rows": ({key: value for key, value in content().items() if key != "rows"}, "'rows' is a required property"),
    "date": (yaml.safe_dump(content()).replace("2024-12", "2024-12-01"), "date is 2024-12-01, which is not string"),
    "not listed": (content(faults="slow"), "faults is slow, which is not array"),
    "form": (content(columns=[content()["columns"][0] | {"form": "guess"}]), "columns.0.form"),
    "no baseline": (content(baseline=None), "baseline"),
    "baseline that is no row": (content(baseline="Plane"), "baseline is 'Plane'"),
    "row twice": (content(rows=content()["rows"] * 2), "'Plain' stands there twice"),
    "column twice": (content(columns=content()["columns"] * 2), "'t' stands there twice"),
    "no such column": (with_row(reported={"u": 1}), "'u', which is no column"),
    "no such ratio": (with_row(ratios={"u": 1}), "'u', which is no column"),
    "not a number": (with_row(reported={"t": float("nan")}), "not finite"),
    "a list as a figure": (with_row(reported={"t": [1]}), "rows.0.reported.t"),
    "ratio of zero": (with_row(ratios={"t": 0}), "rows.0.ratios.t"),
    "no technique and no reason": (with_row(technique=None), "why_none"),
    "technique and reason": (with_row(why_none="none"), "remove one"),
    "infinite": (content(top_three=[{"name": "a", "overall_percent": float("inf")}]), "not finite"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_file_is_one_sentence_with_the_place(tmp_path, fault):
    value, place = FAULTS[fault]
    assert place in refusal(written(tmp_path / "a.yaml", value))


def test_two_files_with_one_id_are_refused(tmp_path):
    paths = [written(tmp_path / f"{name}.yaml", content()) for name in "ab"]
    with pytest.raises(StudyError, match=r"b\.yaml has the id 'other', as another file has"):
        references.read(paths)

"""The public headline sets that come as files for ``--configfile``: each plans beside a study, its columns are read."""

import json
from pathlib import Path

import pytest
import yaml

from scripts.readiness import page
from scripts.study import configuration, layers
from scripts.study.plan import Plan
from tests.support.data_files import Outcome

ROOT = Path(__file__).resolve().parents[3]
SETS = sorted((ROOT / "config/datasets").glob("*.yaml"), key=lambda path: path.stem)
STUDY = ROOT / "config/studies/llama-3.2.yaml"


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_set_is_planned_beside_a_study(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))["dataset"]
    study = layers.read([STUDY, path], [])
    if given["source"] == "file":
        data = tmp_path / given["file"]["path"]
        data.parent.mkdir(parents=True)
        data.touch()  # the user's own
    techniques = {each.name: each for each in configuration.check(study.config)}
    plan = Plan(study.config, techniques, [])
    settings = configuration.dataset(plan.config)
    columns = given[given["source"]]["columns"]
    assert settings.source == given["source"]
    assert (settings.options.columns.summary, settings.options.columns.headline) == (
        columns["summary"],
        columns["headline"],
    )
    assert plan.config["dataset"]["samples"] == 300  # the study's own
    assert "kv_cache" in techniques
    lines, _ = page.lines([str(STUDY), str(path)], [])
    assert any("Llama" in line for line in lines)


@pytest.mark.parametrize("path", [path for path in SETS if "source: file" in path.read_text(encoding="utf-8")], ids=str)
def test_a_file_with_these_columns_is_read(path: Path, tmp_path: Path) -> None:
    file = yaml.safe_load(path.read_text(encoding="utf-8"))["dataset"]["file"]
    parts = {"summary": "The council of town {n} decided on bridges.", "headline": "Town {n} builds", "category": "3"}
    rows = [{name: parts[part].format(n=n) for part, name in file["columns"].items()} for n in range(6)]
    data = tmp_path / Path(file["path"]).name
    if data.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        data.write_text("\n".join(lines), encoding="utf-8")
    else:
        data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    outcome = Outcome(data, tmp_path / "out", columns=file["columns"])
    assert len(outcome.rows) == 6
    assert {row["category"] for row in outcome.rows} == ({"3"} if "category" in file["columns"] else {""})


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_the_documents_name_every_set(path: Path) -> None:
    assert f"config/datasets/{path.name}" in (ROOT / "docs/data.md").read_text(encoding="utf-8")

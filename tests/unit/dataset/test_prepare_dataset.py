"""The stage as a whole: determinism, stability under growth, leakage, the command line, samples."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import prepare_dataset, select_samples
from scripts.dataset.settings import parse
from scripts.foundation import entry
from scripts.foundation.errors import StudyError
from scripts.prepare_dataset import prepare

ROOT = Path(__file__).resolve().parents[3]
OUTPUTS = ("pool.jsonl", "train.jsonl", "rejects.jsonl", "manifest.json")


def write_rows(path: Path, count: int) -> Path:
    rows = ({"headline": f"headline number {i}", "short_description": f"one two three four {i}"} for i in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def build(output: Path, settings: dict[str, Any]) -> dict[str, Any]:
    return prepare(parse(json.dumps(settings)), output)


def file_settings(path: Path, **more: Any) -> dict[str, Any]:
    return {"source": "file", "file": {"path": str(path)}} | more


def headlines(path: Path) -> list[str]:
    return [json.loads(line)["headline"] for line in path.read_text().splitlines()]


NEWSWIRE = {"source": "newswire", "newswire": {"train_rows": 300, "evaluation_rows": 50}}


@pytest.mark.parametrize("source", ["newswire", "file"])
def test_same_input_gives_the_same_bytes(tmp_path: Path, source: str) -> None:
    settings = NEWSWIRE if source == "newswire" else file_settings(write_rows(tmp_path / "rows.jsonl", 200))
    build(tmp_path / "a", settings)
    build(tmp_path / "b", settings)
    for name in OUTPUTS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    build(tmp_path / "c", settings | {"seed": 1})
    assert (tmp_path / "a/pool.jsonl").read_bytes() != (tmp_path / "c/pool.jsonl").read_bytes()


def test_growing_the_file_keeps_sides_and_order(tmp_path: Path) -> None:
    build(tmp_path / "small", file_settings(write_rows(tmp_path / "small.jsonl", 300)))
    build(tmp_path / "large", file_settings(write_rows(tmp_path / "large.jsonl", 900)))
    for name in ("pool.jsonl", "train.jsonl"):
        small, large = headlines(tmp_path / "small" / name), headlines(tmp_path / "large" / name)
        kept = set(small)
        assert [each for each in large if each in kept] == small


def test_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 200)
    build(tmp_path / "a", file_settings(rows))
    rows.write_text("".join(reversed(rows.read_text().splitlines(keepends=True))))
    build(tmp_path / "b", file_settings(rows))
    assert (tmp_path / "a/pool.jsonl").read_bytes() == (tmp_path / "b/pool.jsonl").read_bytes()


def test_larger_share_only_adds_to_the_pool(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 1000)
    build(tmp_path / "a", file_settings(rows, evaluation_share=0.2))
    build(tmp_path / "b", file_settings(rows, evaluation_share=0.4))
    small, large = set(headlines(tmp_path / "a/pool.jsonl")), set(headlines(tmp_path / "b/pool.jsonl"))
    assert small < large
    assert 150 < len(small) < 250


def test_growing_newswire_keeps_the_earlier_rows(tmp_path: Path) -> None:
    build(tmp_path / "a", NEWSWIRE)
    build(tmp_path / "b", {"source": "newswire", "newswire": {"train_rows": 400, "evaluation_rows": 50}})
    build(tmp_path / "c", {"source": "newswire", "newswire": {"train_rows": 300, "evaluation_rows": 90}})
    assert (tmp_path / "b/train.jsonl").read_text().startswith((tmp_path / "a/train.jsonl").read_text())
    assert (tmp_path / "c/pool.jsonl").read_text().startswith((tmp_path / "a/pool.jsonl").read_text())
    counts = json.loads((tmp_path / "a/manifest.json").read_text())["counts"]
    assert (counts["pool"], counts["train"], counts["rejected"]) == (50, 300, 0)


def test_headlines_of_the_pool_are_kept_out_of_training(tmp_path: Path) -> None:
    # The same few headlines over different summaries, in different case: most are drawn for both sides.
    rows = [
        {"headline": ("Same Headline {}" if i % 2 else "same headline {}").format(i % 20),
         "short_description": f"one two three four {i}"}
        for i in range(400)
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = build(tmp_path / "out", file_settings(path))
    counts = manifest["counts"]
    pool = {each.casefold() for each in headlines(tmp_path / "out/pool.jsonl")}
    assert pool.isdisjoint(each.casefold() for each in headlines(tmp_path / "out/train.jsonl"))
    assert counts["leakage"] == counts["rejected_by_reason"]["leakage"] > 0
    assert counts["pool"] + counts["train"] + counts["rejected"] == counts["read"] == 400
    rejects = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert {each["reason"] for each in rejects} == {"leakage"}


def test_manifest_says_where_the_rows_come_from(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", 20)
    manifest = build(tmp_path / "out", file_settings(path, seed=4))
    assert manifest == json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["settings"]["file"]["columns"]["summary"] == "short_description"
    assert manifest["settings"]["filters"]["summary_words"] == {"min": 5, "max": 100}
    assert manifest["origin"]["bytes"] == path.stat().st_size
    assert len(manifest["origin"]["sha256"]) == 64
    assert manifest["seed"] == 4


def test_ids_are_unique_and_follow_the_content(tmp_path: Path) -> None:
    build(tmp_path / "a", NEWSWIRE)
    build(tmp_path / "b", NEWSWIRE | {"filters": {"summary_words": {"min": 30}}})
    ids = {}
    for name in ("a", "b"):
        for part in ("pool.jsonl", "train.jsonl"):
            for row in map(json.loads, (tmp_path / name / part).read_text().splitlines()):
                assert set(row) == {"id", "summary", "headline", "category"}
                assert ids.setdefault(row["id"], row) == row
    assert len(ids) == 350


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{", "--settings"),
        ('{"source": "ftp"}', "dataset.source"),
        ('{"source": "file"}', "dataset.file.path"),
        ('{"source": "file", "file": {"path": "x", "columns": {"title": "y"}}}', "dataset.file.columns"),
        ('{"source": "hub", "hub": {"id": "a/b"}}', "dataset.hub.revision"),
        ('{"source": "newswire", "newswire": {"train_rows": -1}}', "dataset.newswire.train_rows"),
        ('{"evaluation_share": 0}', "dataset.evaluation_share"),
        ('{"filters": {"summary_words": {"min": 9, "max": 8}}}', "dataset.filters.summary_words: min 9 is above max 8"),
        ('{"seed": "x"}', "dataset.seed"),
    ],
)
def test_bad_settings_name_their_key(settings: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        parse(settings)


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.prepare_dataset", "--output", str(tmp_path / "out"), "--settings"]
    done = subprocess.run([*command, json.dumps(NEWSWIRE)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(OUTPUTS)
    failed = subprocess.run(
        [*command, '{"source": "file", "file": {"path": "nowhere"}}'], cwd=ROOT, capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert failed.stderr == "error: dataset.file.path: the file nowhere does not exist; correct the path.\n"


def test_full_disk_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    output = tmp_path / "out"
    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(sys, "argv", ["prepare_dataset", "--settings", json.dumps(NEWSWIRE), "--output", str(output)])
    with pytest.raises(SystemExit, match="the disk is full"):
        entry.run(prepare_dataset.main)
    assert list(output.iterdir()) == []


def test_samples_are_the_first_rows_of_the_pool(tmp_path: Path) -> None:
    build(tmp_path, NEWSWIRE)
    pool = (tmp_path / "pool.jsonl").read_text()
    for count in (1, 10, 50):
        select_samples.select(tmp_path / "pool.jsonl", count, tmp_path / "eval.jsonl")
        assert (tmp_path / "eval.jsonl").read_text() == "".join(pool.splitlines(keepends=True)[:count])
    with pytest.raises(StudyError, match=r"50 rows .* asks for 51"):
        select_samples.select(tmp_path / "pool.jsonl", 51, tmp_path / "eval.jsonl")
    with pytest.raises(StudyError, match="does not exist"):
        select_samples.select(tmp_path / "nowhere.jsonl", 1, tmp_path / "eval.jsonl")

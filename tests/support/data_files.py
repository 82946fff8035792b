"""Prepares the data set of a file that a test writes, and holds what came of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.dataset.settings import parse
from scripts.foundation.errors import StudyError
from scripts.prepare_dataset import prepare

Rows = list[dict[str, Any]]
FILE_OPTIONS = ("columns", "encoding", "rows")


class Outcome:
    """What a run left behind; ``more`` are options of the file, or of the data set."""

    def __init__(self, path: Path, output: Path, **more: Any) -> None:
        file = {"path": str(path)} | {name: more.pop(name) for name in FILE_OPTIONS if name in more}
        settings = {"source": "file", "file": file} | more
        self.manifest = prepare(parse(json.dumps(settings)), output)
        self.counts = self.manifest["counts"]
        self.pool = self._lines(output / "pool.jsonl")
        self.train = self._lines(output / "train.jsonl")
        self.rejects = self._lines(output / "rejects.jsonl")
        self.reasons = {each["position"]: each["reason"] for each in self.rejects}
        self.rows = self.pool + self.train
        self.headlines = {each["headline"] for each in self.rows}
        assert self.counts["read"] == len(self.rows) + len(self.rejects)

    @staticmethod
    def _lines(path: Path) -> Rows:
        return [json.loads(line) for line in path.read_bytes().decode("utf-8").split("\n")[:-1]]


def run(tmp_path: Path, data: bytes | str, name: str = "rows.jsonl", **more: Any) -> Outcome:
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return Outcome(tmp_path / name, tmp_path / "out", **more)


def refusal(tmp_path: Path, data: bytes | str, name: str = "rows.jsonl", **more: Any) -> str:
    """Return the one sentence with which the file is refused."""
    out = tmp_path / "out"
    before = sorted(out.glob("**/*"))
    with pytest.raises(StudyError) as caught:
        run(tmp_path, data, name, **more)
    assert "\n" not in str(caught.value)
    # A failed run leaves no half of a data set behind.
    assert [each for each in sorted(out.glob("**/*")) if each.is_file() and each not in before] == []
    return str(caught.value)


def table(count: int) -> list[str]:
    """Return the lines of a CSV file, its header first; row ``n`` stands on line ``n + 2``."""
    rows = (f"The council of town {n} decided on {n} bridges today.,Town {n} builds bridges,NEWS" for n in range(count))
    return ["short_description,headline,category", *rows]

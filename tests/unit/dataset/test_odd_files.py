"""Files and columns that nobody means to hand over: each is read, or refused in one sentence that names it."""

import datetime
import io
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts import select_samples
from scripts.foundation.errors import StudyError
from tests.support.data_files import Outcome, refusal, run

ROOT = Path(__file__).resolve().parents[3]
SUMMARIES = [f"one two three four {n}" for n in range(4)]
HEADLINES = [f"town {n} builds" for n in range(4)]


def as_parquet(columns: list[Any], names: list[str]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), buffer)
    return buffer.getvalue()


def zipped(*names: str) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "Town builds\n\none two three four five\n")
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize("names", [["rows.csv"], ["a.txt", "b.txt"]], ids=["one file", "texts"])
def test_a_zip_whose_parts_are_not_where_it_says_is_damaged(tmp_path: Path, names: list[str]) -> None:
    no_header = zipped(*names)
    no_header[no_header.index(b"PK\x01\x02") + 42] = 7  # where the first part begins
    assert "is damaged (" in refusal(tmp_path, bytes(no_header), "rows.zip")
    nowhere = zipped(*names)
    end = nowhere.index(b"PK\x05\x06")
    nowhere[end + 16 : end + 20] = (2**32 - 5).to_bytes(4, "little")  # where the list of parts begins
    assert "is damaged (" in refusal(tmp_path, bytes(nowhere), "rows.zip")


def test_a_damaged_parquet_file_of_which_nothing_is_said_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stream: Any) -> None:
        raise pa.ArrowException

    monkeypatch.setattr(pq, "ParquetFile", fail)
    data = as_parquet([SUMMARIES, HEADLINES], ["short_description", "headline"])
    assert refusal(tmp_path, data, "rows.parquet").endswith("rows.parquet is damaged (ArrowException); fetch it again.")


KINDS = ["pipe", "socket", "device", "folder", "loop", "below a file", "null"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path, words = tmp_path / "rows.csv", {"pipe": "a named pipe", "socket": "a socket"}.get(kind, "")
    server = socket.socket(socket.AF_UNIX)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        server.bind(str(path))
    elif kind == "device":
        path, words = Path("/dev/zero"), "a device"
    elif kind == "folder":
        path, words = tmp_path, "a directory"
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "below a file":
        path.write_text("")
        path = path / "rows.csv"
    else:
        path = tmp_path / "rows\0.csv"
    with pytest.raises(StudyError, match=r"dataset\.file\.path") as caught:
        Outcome(path, tmp_path / "out")
    server.close()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    data = as_parquet([SUMMARIES, HEADLINES, HEADLINES], ["short_description", "headline", "headline"])
    assert "2 columns named headline" in refusal(tmp_path, data, "rows.parquet")
    data = as_parquet([SUMMARIES, HEADLINES, HEADLINES, HEADLINES], ["short_description", "headline", "x", "x"])
    assert run(tmp_path, data, "rows.parquet").headlines == set(HEADLINES)


def test_times_that_python_cannot_hold(tmp_path: Path) -> None:
    fine = int(datetime.datetime(2024, 1, 1).timestamp())
    times = pa.array([fine, 10**12, fine, -(10**13)], pa.timestamp("s"))
    names = ["short_description", "headline", "category"]
    assert run(tmp_path, as_parquet([SUMMARIES, HEADLINES, times], names), "rows.parquet").reasons == {}
    (tmp_path / "other").mkdir()
    sentence = refusal(tmp_path / "other", as_parquet([SUMMARIES, times], names[:2]), "rows.parquet")
    assert "4 not_text" in sentence


def test_equal_rows_are_counted_where_rows_are_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    row = '{"headline": "town builds", "short_description": "one two three four five"}\n'
    with caplog.at_level("INFO"):
        outcome = run(tmp_path, row * 50, evaluation_share=1)
    assert outcome.counts["rejected_by_reason"] == {"duplicate": 49}
    assert "49 duplicate (first at line 2)" in caplog.text
    with pytest.raises(StudyError, match="the source has 50 rows, 49 of them rejected: 49 duplicate"):
        select_samples.select(tmp_path / "out" / "pool.jsonl", 4, tmp_path / "eval.jsonl")


HOSTILE = '{"\\u001b[31mred\\u001b]0;title\\u0007": 1, "a\\nerror: forged.": 2, "\\u202eb\\u009bm": 3}\n'


def test_names_of_columns_are_inert_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(HOSTILE)
    settings = f'{{"source": "file", "file": {{"path": "{tmp_path}/rows.jsonl"}}}}'
    command = [
        sys.executable,
        "-m",
        "scripts.prepare_dataset",
        "--output",
        str(tmp_path / "out"),
        "--settings",
        settings,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    told = [line for line in done.stderr.split("\n") if line.startswith("error: ")]
    assert len(told) == 1
    assert "[U+001B][31mred" in told[0]
    assert "a[U+000A]error: forged." in told[0]
    assert not set("\x1b\x07\x9b\u202e") & set(done.stderr)


def test_a_column_name_of_any_length_is_cut(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, '{"%s": 1}\n' % ("x" * 100_000))) < 1000

import errno
import subprocess
import sys
import tempfile

import pytest

from scripts.foundation import entry


def failing(error):
    def main():
        raise error

    return main


def test_a_known_error_is_one_sentence_and_status_1():
    program = (
        "from scripts.foundation import entry\n"
        "from scripts.foundation.errors import StudyError\n"
        "def main(): raise StudyError('dataset.samples is 0; raise it.')\n"
        "entry.run(main)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: dataset.samples is 0; raise it.\n"
    assert ended.stdout == ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_as_such(number):
    with pytest.raises(SystemExit, match=r"disk is full while writing results/a\.json"):
        entry.run(failing(OSError(number, "No space left on device", "results/a.json")))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_place_that_cannot_be_written_is_named(number):
    with pytest.raises(SystemExit, match=r"^error: results/a\.json can't be used \(barred\); .+\.$"):
        entry.run(failing(OSError(number, "barred", "results/a.json")))


def test_a_limit_on_the_size_of_files_is_said():
    with pytest.raises(SystemExit, match=r"^error: results/a\.json would be larger .+ \(ulimit -f\); raise it, .+\.$"):
        entry.run(failing(OSError(errno.EFBIG, "File too large", "results/a.json")))


def test_no_place_for_temporary_files_is_said(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/absent"])
    with pytest.raises(SystemExit, match="set TMPDIR"):
        entry.run(tempfile.mkdtemp)


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.EIO, "Input/output error", "a")])
def test_anything_else_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        entry.run(failing(error))


def test_success_says_nothing(capsys):
    entry.run(lambda: None)
    assert capsys.readouterr().err == ""

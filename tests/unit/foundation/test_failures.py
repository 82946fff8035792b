"""What is kept of a run's error, and what is not, so that the next call tries again."""

import errno

import pytest

from scripts.foundation import failures


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_kept_a_file_from_being_written_is_no_result(number):
    with pytest.raises(OSError, match="words"):
        failures.report(OSError(number, "words", "results/a.json"))


def test_a_limit_on_the_size_of_files_is_said_and_tried_again():
    found = failures.report(OSError(errno.EFBIG, "File too large", "results/a.json"))
    assert found["reason"].startswith("results/a.json would be larger than this shell lets files be (ulimit -f); ")
    assert found["unforeseen_at"] > 0


def test_an_error_that_nobody_foresaw_is_a_result_with_the_time_of_it():
    found = failures.report(OSError(errno.EIO, "Input/output error"))
    assert found["status"] == failures.FAILED
    assert found["reason"] == "OSError: [Errno 5] Input/output error."
    assert found["unforeseen_at"] > 0

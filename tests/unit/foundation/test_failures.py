"""What is kept of a run's error, and what is not, so that the next call tries again."""

import errno

import pytest

from scripts.foundation import failures


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_kept_a_file_from_being_written_is_no_result(number):
    with pytest.raises(OSError, match="words"):
        failures.report(OSError(number, "words", "results/a.json"))


def test_an_error_that_nobody_foresaw_is_a_result_with_the_time_of_it():
    found = failures.report(OSError(errno.EIO, "Input/output error"))
    assert found["status"] == failures.FAILED
    assert found["reason"] == "OSError: [Errno 5] Input/output error."
    assert found["unforeseen_at"] > 0

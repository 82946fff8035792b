"""Entry points: logging to stderr, errors as one sentence, and control characters in output escaped."""

import contextlib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType

from scripts.foundation import parent, text
from scripts.foundation.errors import StudyError


class _Formatter(logging.Formatter):
    """Indents and escapes messages, since text from data or libraries could imitate a log line."""

    def format(self, record: logging.LogRecord) -> str:
        return text.lines(super().format(record))


def run(main: Callable[[], None], fault: int = 1) -> None:
    """Run ``main`` as a stage: a known error is one sentence on stderr and an exit status, anything else a traceback.

    ``fault`` is that status, where 1 has a meaning of its own; an unknown error has it too.

    All that the stage prints passes through :class:`scripts.foundation.text.InertStream`.
    """
    sys.excepthook = _print_traceback
    with (
        contextlib.redirect_stdout(text.InertStream(sys.stdout)),
        contextlib.redirect_stderr(text.InertStream(sys.stderr)),
    ):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        parent.end_with_run()
        try:
            main()
        except StudyError as error:
            _fail(str(error), fault)
        except Exception as error:
            if sentence := _access_error(error):
                _fail(sentence, fault)
            if disk_is_full(error):
                where = f" while writing {error.filename}" if getattr(error, "filename", None) else ""
                _fail(f"the disk is full{where}; free some space and run the same command again to continue.", fault)
            if fault == 1:
                raise
            _print_traceback(type(error), error, error.__traceback__)
            sys.exit(fault)


def _fail(sentence: str, status: int) -> None:
    said = f"error: {text.one_line(sentence)}"
    if status == 1:
        sys.exit(said)
    print(said, file=sys.stderr)
    sys.exit(status)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lines = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")
    print(text.lines(lines), file=sys.stderr)


def _access_error(error: Exception) -> str | None:
    """The sentence for a file or folder that can't be read or written; None for other errors."""
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        return "no folder for temporary files can be written; set TMPDIR to one that has free space."
    if sentence := file_limit(error):
        return sentence
    if isinstance(error, OSError) and error.filename and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{error.filename} can't be used ({error.strerror}); change its permissions, or choose another place."
    return None


def file_limit(error: Exception) -> str | None:
    """The sentence for a file that grew to the largest size allowed; None for other errors."""
    if getattr(error, "errno", None) != errno.EFBIG and os.strerror(errno.EFBIG) not in str(error):
        return None
    what = getattr(error, "filename", None) or "A file"
    return f"{what} would be larger than this shell lets files be (ulimit -f); raise it, and run it again."


def disk_is_full(error: Exception) -> bool:
    """Whether an error says that a disk, or the user's quota on it, is full."""
    # Libraries that write by themselves (safetensors, tokenizers) raise errors of their own with the system's words.
    full = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in full or any(os.strerror(number) in str(error) for number in full)

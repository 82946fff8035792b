"""The shape of an entry point: logging to stderr, and errors as one sentence."""

import errno
import logging
import os
import sys
from collections.abc import Callable

from scripts.foundation.errors import StudyError


def run(main: Callable[[], None]) -> None:
    """Run ``main`` as a stage: a known error is one sentence on stderr and exit status 1, anything else a traceback."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        main()
    except StudyError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if not _disk_is_full(error):
            raise
        where = f" while writing {error.filename}" if getattr(error, "filename", None) else ""
        sys.exit(f"error: the disk is full{where}; free some space and run the same command again to continue.")


def _disk_is_full(error: Exception) -> bool:
    # Libraries that write by themselves (safetensors, tokenizers) raise errors of their own with the system's words.
    full = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in full or any(os.strerror(number) in str(error) for number in full)

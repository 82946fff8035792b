"""The shape of an entry point: logging to stderr, and errors as one sentence."""

import errno
import logging
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
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        sys.exit(f"error: the disk is full{where}; free some space and run the same command again to continue.")

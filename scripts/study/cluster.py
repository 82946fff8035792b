"""What is asked of a study whose jobs are submitted to a cluster: its machine, and how long jobs may take."""

from __future__ import annotations

import math
from typing import Any

from scripts.foundation.errors import StudyError

# A job that the cluster ends too early is lost, one that it could have ended earlier costs nothing.
LEAST_MINUTES = 120
MARGIN = 10


def check(config: dict[str, Any]) -> None:
    """See that the study says what the machine that submits its jobs cannot know.

    Raises:
        StudyError: device or machine are to be found out.
    """
    measurement = config["measurement"]
    if measurement["device"] == "auto":
        raise StudyError(
            "measurement.device is auto, and jobs are submitted to nodes that this machine knows nothing of; set it to "
            "cuda or cpu."
        )
    if measurement["machine"] == "auto":
        raise StudyError(
            "measurement.machine is auto, and jobs are submitted to nodes that this machine knows nothing of; set it "
            "to a name for their kind, such as a100, so that runs of two kinds are never compared as if of one."
        )


def minutes(seconds: float, silence_s: float | None, attempt: int = 1) -> int:
    """Minutes after which a cluster may end a job: ten times what it should take, two hours at least.

    Args:
        seconds: that it is expected to take.
        silence_s: after which a run that says nothing is ended by the workflow, which the cluster must not forestall.
        attempt: 1, and one more each time that it is started again.
    """
    return attempt * max(LEAST_MINUTES, math.ceil((MARGIN * seconds + (silence_s or 0)) / 60))

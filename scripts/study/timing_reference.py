"""Chooses the technique of the reference process, which is timed in turns with each technique."""

from __future__ import annotations

from scripts.foundation.errors import StudyError
from scripts.study.techniques import Technique

NONE, AUTO = "none", "auto"
PREFERRED = ("kv_cache", "baseline")


def find(setting: str, techniques: list[Technique]) -> Technique | None:
    """The study's reference; None where it has none.

    Args:
        setting: ``measurement.reference``: ``auto``, ``none``, or the name of a technique.
        techniques: those of the study.

    Raises:
        StudyError: the technique is not in the study, or needs several processes, a draft or calibration rows.
    """
    if setting == NONE:
        return None
    by_name = {technique.name: technique for technique in techniques}
    if setting == AUTO:
        ordered = [by_name[name] for name in PREFERRED if name in by_name] + techniques
        return next((technique for technique in ordered if _is_simple(technique)), None)
    if setting not in by_name:
        raise StudyError(
            f"measurement.reference is '{setting}', which is no technique of this study; name one that it runs, or use "
            f"{AUTO} or {NONE}."
        )
    if not _is_simple(by_name[setting]):
        raise StudyError(
            f"measurement.reference is '{setting}', which takes several processes, a second model, training rows or a "
            "server; name a technique of one process and one model."
        )
    return by_name[setting]


def _is_simple(technique: Technique) -> bool:
    alone = technique.processes == 1 and technique.draft is None and technique.calibration_rows == 0
    return alone and not technique.run_by

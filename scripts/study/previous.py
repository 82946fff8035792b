"""The comparison.json of a previous study, which the report shows the changes since (``report.previous``)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.foundation import files, paths
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown

KEY = "report.previous"
OWN = Path("results") / "comparison.json"


def check(path: str | None, techniques: Iterable[str]) -> None:
    """See, before anything runs, that the file can be compared with a study of these techniques.

    Raises:
        StudyError: it can't be read, is no comparison, is the study's own, or has none of the techniques.
    """
    if path is None:
        return
    _check_path(path)
    # Only here: it brings all of the comparison along, which planning a study has no use for.
    from scripts.comparison.studies import reading

    try:
        names = {technique["name"] for technique in reading.read(path)["techniques"]}
    except StudyError as error:
        raise StudyError(f"{KEY}: {error}") from None
    if not names & set(techniques):
        raise StudyError(
            f"{KEY}: {shown(path)[1:-1]} has no technique of this study; name the comparison of a study that has some."
        )


def content(path: str | None) -> str:
    """Return the digest of the file, by which its content and not its age makes the comparison stale.

    Raises:
        StudyError: it can't be read, or is the study's own.
    """
    if path is None:
        return "none"
    _check_path(path)
    return files.sha256(path)


def _check_path(path: str) -> None:
    paths.check_file(KEY, path)
    if Path(path).resolve() == OWN.resolve():
        raise StudyError(
            f"{KEY} names {OWN}, which this study writes itself; copy it elsewhere first, and name the copy."
        )

"""Reading of the evaluation set."""

from scripts.foundation import files
from scripts.foundation.errors import StudyError


def read_dataset(path: str) -> list[dict[str, str]]:
    """Read an evaluation set (eval.jsonl).

    Raises:
        StudyError: it is empty, an id appears twice, or a row lacks its id, summary or headline.
    """
    rows = files.read_json_lines(path)
    if not rows:
        raise StudyError(f"{path} has no rows; prepare the dataset again.")
    for line, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not all(isinstance(row.get(k), str) for k in ("id", "summary", "headline")):
            raise StudyError(f"{path}, line {line}: 'id', 'summary' or 'headline' is missing; prepare it again.")
    if len({row["id"] for row in rows}) != len(rows):
        raise StudyError(f"{path} has the same id twice; prepare the dataset again.")
    return rows

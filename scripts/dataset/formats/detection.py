"""The format of a data file, detected by its content and, where that fits several, by its name's ending."""

import os
from dataclasses import dataclass

from scripts.dataset.entries import Columns
from scripts.dataset.formats import encoding, tables
from scripts.dataset.formats.json_lines import parse_object
from scripts.foundation.errors import StudyError

#: Bytes at the beginning of a file that decide.
HEAD = 2**20
_TABLE_ENDINGS = {".csv", ".tsv", ".tab", ".psv"}
_LINE_ENDINGS = {".jsonl", ".ndjson"}
_LINES_LOOKED_AT = 50
_TAR_AT = 257


@dataclass(frozen=True)
class Format:
    """The format of a file.

    Attributes:
        name: "json_lines", "json_array", "json_document", "csv" or "parquet".
        encoding: Python's name of the encoding of its text; None for Parquet.
        carriage_returns: whether its lines end in carriage returns alone.
    """

    name: str
    encoding: str | None = None
    carriage_returns: bool = False


def detect(head: bytes, member: str, path: str, encoded_in: str, rows: str, columns: Columns) -> Format:
    """Detect the format of a file.

    Args:
        head: its first ``HEAD`` bytes, or all that there are.
        member: its name, or its name in an archive.
        path: its path, for errors.
        encoded_in: the encoding that the study names.
        rows: the place of the rows in a document that the study names.
        columns: that the study asks for; by name they stand in the first line of a CSV.

    Raises:
        StudyError: it is empty, or its format or encoding is unknown.
    """
    ending = os.path.splitext(member)[1].lower()
    if head[_TAR_AT:].startswith(b"ustar"):
        raise StudyError(f"{path} is a tar archive; unpack it and name the file inside, or the folder of texts.")
    if not head:
        raise StudyError(f"{path} is empty; name a file with rows.")
    if head.startswith(b"PAR1"):
        if rows:
            raise StudyError(f"dataset.file.rows is for JSON documents, and {path} is Parquet; leave it empty.")
        return Format("parquet")
    if ending == ".parquet":
        raise StudyError(f"{path} is not a Parquet file, though named like one; fetch it again.")
    name = encoding.canonical(encoded_in)
    mark = encoding.marked(head)
    if name == encoding.UTF8 and mark is not None:
        raise StudyError(f"{path} is {mark.upper()} text; save it as UTF-8, or set dataset.file.encoding to {mark}.")
    encoding.need_mark(head, name, path)
    text = encoding.decoded(head, name)
    carriage_returns = b"\r" in text and b"\n" not in text
    if carriage_returns:
        text = text.replace(b"\r", b"\n")
    found = _format(text, len(head) < HEAD, ending, path, rows, columns)
    if found == "csv" and name == encoding.UTF8 and not columns.by_position:
        _check_header(text, path)
    return Format(found, name, carriage_returns)


def _format(text: bytes, whole: bool, ending: str, path: str, rows: str, columns: Columns) -> str:
    start = text.removeprefix(b"\xef\xbb\xbf").lstrip()[:64]
    if rows and start[:1] in (b"{", b"["):
        return "json_document"
    if rows:
        raise StudyError(f"dataset.file.rows is for JSON documents, and {path} is none; leave it empty.")
    if ending in _TABLE_ENDINGS:
        return "csv"
    if start[:1] == b"[" and ending not in _LINE_ENDINGS:
        return "json_document" if start[1:].lstrip()[:1] == b"[" else "json_array"
    if start[:1] == b"{" and ending not in _LINE_ENDINGS:
        return "json_document" if _is_document(text, whole) else "json_lines"
    if ending in _LINE_ENDINGS or ending == ".json":
        return "json_lines"
    if start[:1] == b"<":
        raise StudyError(f"{path} is HTML or XML, of which no rows are read; write its texts as CSV or JSON lines.")
    if tables.is_table(text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"), whole, columns):
        return "csv"
    raise StudyError(
        f"{path} is of no known format; it must be JSON lines (.jsonl), a JSON array or document (.json), CSV (.csv, "
        ".tsv) or Parquet (.parquet), as it is or in a .gz, .bz2, .xz or .zip file, and text in UTF-8 or "
        "dataset.file.encoding; or a folder or .zip file of texts (.txt), with the headline on the first line."
    )


def _is_document(text: bytes, whole: bool) -> bool:
    """Whether a text that begins with an object is one value, not an object a line."""
    lines = [line for each in text.split(b"\n") if (line := each.strip())]
    if len(lines) == 1:
        return True
    # Of a longer file the last line may be cut off.
    complete = lines if whole else lines[:-1]
    return not any(_is_object(line) for line in complete[:_LINES_LOOKED_AT])


def _is_object(line: bytes) -> bool:
    return parse_object(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")) is not None


def _check_header(text: bytes, path: str) -> None:
    """Check that a table's names are UTF-8: a column can't be found by a name that is garbled.

    Raises:
        StudyError: they are not; the message says which encoding is likely.
    """
    number, (line, end, rest) = 1, text.partition(b"\n")
    if tables.said_delimiter(line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")):
        number, (line, end, _) = 2, rest.partition(b"\n")
    try:
        if end:
            line.decode("utf-8")
    except UnicodeDecodeError:
        raise StudyError(f"{path}, line {number}, is not UTF-8; {encoding.advice(text)}.") from None

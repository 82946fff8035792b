"""A file of the user's: JSON lines, a JSON array or document, CSV or Parquet, as it is or inside gzip or zip."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from scripts.dataset.entries import Entry, Source
from scripts.dataset.path import data_file
from scripts.dataset.settings import FileSettings
from scripts.dataset.sources import document, encoding, forms, json_array, json_lines, parquet, table
from scripts.dataset.sources.packing import unpacked
from scripts.foundation.errors import StudyError


def open_file(settings: FileSettings) -> Source:
    """Open a file as a source.

    Raises:
        StudyError: the file is missing, can't be read, is empty, or has a form that is not known.
    """
    path = settings.path
    file = data_file(path)
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        size = handle.tell()
    with unpacked(file, path) as (stream, _, compression, member):
        head = stream.read(forms.HEAD)
    told = forms.look_at(head, member, settings)
    origin = {"sha256": digest, "bytes": size, "format": told.form, "compression": compression}
    if told.encoding not in (None, encoding.UTF8):
        origin["encoding"] = told.encoding
    unit = "line" if told.form in ("json_lines", "csv") else "row"
    notes: list[str] = []
    entries = _entries(file, told, settings, size, notes)
    return Source(path, entries, origin, unit, settings.columns, told.encoding, notes)


def _entries(file: Path, told: forms.Form, settings: FileSettings, size: int, notes: list[str]) -> Iterator[Entry]:
    with (
        unpacked(file, settings.path) as (stream, raw, _, _),
        tqdm(total=size, unit="B", unit_scale=True, desc="reading", mininterval=1) as bar,
    ):
        content = stream if told.encoding is None else encoding.as_utf8(stream, told.encoding, told.carriage_returns)
        for count, entry in enumerate(_rows(content, told.form, settings, notes)):
            yield entry
            if count % 1000 == 0:
                bar.update(raw.tell() - bar.n)
        bar.update(size - bar.n)


def _rows(stream: BinaryIO, form: str, settings: FileSettings, notes: list[str]) -> Iterator[Entry]:
    match form:
        case "json_lines":
            return json_lines.read(stream)
        case "json_array":
            return json_array.read(stream)
        case "json_document":
            return document.read(stream, settings.columns, settings.rows, settings.path)
        case "csv":
            return table.read(stream, settings.columns, settings.path, notes)
        case "parquet":
            return parquet.read(stream, settings.columns, settings.path)
    raise StudyError(f"{settings.path} has the unknown form {form}.")

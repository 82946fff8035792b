"""Source ``file``: JSON lines, a JSON array or document, CSV or Parquet, packed or not, or a folder or zip of texts."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from tqdm import tqdm

from scripts.dataset.entries import Columns, Entry, Opened
from scripts.dataset.formats import delimited, detection, document, encoding, json_array, json_lines, parquet, texts
from scripts.dataset.formats.packing import unpacked
from scripts.dataset.source import Options, Source
from scripts.foundation import files, paths
from scripts.foundation.errors import StudyError


@dataclass(frozen=True)
class Settings(Source):
    """A file or a folder of texts, its columns, its encoding, and where in a JSON document its rows are."""

    path: str
    columns: Columns
    encoding: str = encoding.UTF8
    rows: str = ""

    @classmethod
    def read(cls, options: Options) -> Self:
        """Read the options."""
        return cls(
            options.text("path"),
            options.columns(),
            options.text("encoding", encoding.UTF8),
            options.text_or("rows", ""),
        )

    def check(self) -> None:
        """Check that the file, or the texts of the folder, can be read."""
        if not os.path.isdir(self._file):
            paths.check_file("dataset.file.path", self._file)
            return
        paths.check_directory("dataset.file.path", self._file)
        if not texts.in_folder(self._file):
            raise StudyError(
                f"dataset.file.path: {self.path} is a directory without texts (.txt, with the headline on the first "
                "line); name a file, or a folder of such texts."
            )

    def content(self) -> str:
        """Digest of the file, or of the texts of the folder."""
        return texts.digest(self._file) if self._file.is_dir() else files.sha256(self._file)

    def open(self, seed: int) -> Opened:
        """Open the file; it may be empty or of no known format."""
        self.check()
        names = texts.in_folder(self._file) if self._file.is_dir() else texts.in_archive(self._file)
        if names:
            return self._texts(names)
        with unpacked(self._file, self.path) as (stream, _, compression, member):
            head = stream.read(detection.HEAD)
        found = detection.detect(head, member, self.path, self.encoding, self.rows, self.columns)
        size = self._file.stat().st_size
        origin = {"sha256": self.content(), "bytes": size, "format": found.name, "compression": compression}
        if found.encoding not in (None, encoding.UTF8):
            origin["encoding"] = found.encoding
        unit = "line" if found.name in ("json_lines", "csv") else "row"
        notes: list[str] = []
        entries = self._entries(found, size, notes, member)
        return Opened(self.path, entries, origin, unit, self.columns, found.encoding, notes)

    def _texts(self, names: list[str]) -> Opened:
        if self.rows:
            raise StudyError(f"dataset.file.rows is for JSON documents, and {self.path} holds texts; leave it empty.")
        encoded_in = encoding.canonical(self.encoding)
        packed = "none" if self._file.is_dir() else "zip"
        origin = {"sha256": self.content(), "files": len(names), "format": "texts", "compression": packed}
        if encoded_in != encoding.UTF8:
            origin["encoding"] = encoded_in
        entries = tqdm(texts.read(self._file, names, encoded_in, self.path), "reading", len(names), mininterval=1)
        return Opened(self.path, iter(entries), origin, "file", texts.COLUMNS, encoded_in)

    @property
    def _file(self) -> Path:
        return Path(os.path.expanduser(self.path))

    def _entries(self, found: detection.Format, size: int, notes: list[str], member: str) -> Iterator[Entry]:
        is_tsv = member.lower().endswith((".tsv", ".tab"))
        with (
            unpacked(self._file, self.path) as (stream, raw, _, _),
            tqdm(total=size, unit="B", unit_scale=True, desc="reading", mininterval=1) as bar,
        ):
            if found.encoding is not None:
                stream = encoding.as_utf8(stream, found.encoding, found.carriage_returns)
            for count, entry in enumerate(self._rows(stream, found.name, notes, is_tsv)):
                yield entry
                if count % 1000 == 0:
                    bar.update(raw.tell() - bar.n)
            bar.update(size - bar.n)

    def _rows(self, stream: BinaryIO, name: str, notes: list[str], is_tsv: bool) -> Iterator[Entry]:
        match name:
            case "json_lines":
                return json_lines.read(stream, self.columns.by_position)
            case "json_array":
                return json_array.read(stream)
            case "json_document":
                return document.read(stream, self.columns, self.rows, self.path)
            case "csv":
                return delimited.read(stream, self.columns, self.path, notes, is_tsv)
            case "parquet":
                return parquet.read(stream, self.columns, self.path)
        raise StudyError(f"{self.path} has the unknown format {name}.")

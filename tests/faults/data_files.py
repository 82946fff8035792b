"""Data files as news come in, and mutations of them: of their bytes, their rows, their packing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, object]
ODD: list[object] = [
    None, True, 0, -1, 1.5, float("nan"), 10**400, "", " ", "\x00", "\x1b[2J", "\u202egnp", "\ufeff", "\ud800", "a\rb",
    "=cmd()", "<b>" * 200, "&amp;" * 50, "{{7*7}}", "x" * 200_000, [], {}, ["a"], {"text": "a"}, "١٢٣ مساء",
    "新聞摘要在這裡寫成",
]  # fmt: skip
BYTES = [b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b'"', b'""', b"\r", b"\n", b"\r\n", b",", b"\t", b";", b"{",
         b"}", b"[", b"\\", b"\\ud800", b"\xc3", b"\x1a", b"\x85", b"PK\x03\x04", b"\x1f\x8b", b"NaN",
         b"1e999"]  # fmt: skip
NAMES = ["rows", "rows.txt", "rows.csv.gz", "rows.json", "rows.parquet", "rows.zip", "ünï çode.csv"]
ENCODINGS = ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis"]
PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def rows(chance: random.Random) -> list[Row]:
    """A few rows that are right."""
    return [
        {"short_description": f"The council of town {n} decided on {n} bridges and a school today.",
         "headline": f"Town {n} builds bridges", "category": chance.choice(["NEWS", "ARTS", None])}
        for n in range(chance.choice([0, 1, 2, 12, 40]))
    ]  # fmt: skip


def made(chance: random.Random) -> tuple[str, bytes]:
    """A file's name and content: rows, one in three with something odd in them, written in a form, and mutated."""
    content = rows(chance)
    for row in content if chance.random() < 0.33 else ():
        if chance.random() < 0.3:
            row[chance.choice(list(row))] = chance.choice(ODD)
        if chance.random() < 0.1:
            row.pop(chance.choice(list(row)))
        if chance.random() < 0.1:
            row[chance.choice(["", "extra", "headline ", "\x1b[31m", "a.b"])] = chance.choice(ODD)
    name, data = chance.choice([_lines, _array, _nested, _table, _parquet, _zipped])(content, chance)
    if chance.random() < 0.7:
        data = mutated(data, chance)
    if chance.random() < 0.15:
        packing = chance.choice(list(PACKERS))
        name, data = name + packing, PACKERS[packing](data)
        if chance.random() < 0.5:
            data = mutated(data, chance)
    if chance.random() < 0.08:
        name = chance.choice(NAMES)
    return name, data


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to four parts cut out, doubled, replaced, or put into another encoding."""
    for _ in range(chance.randint(1, 4)):
        begin = chance.randrange(len(data) + 1)
        end = min(len(data), begin + chance.choice([0, 1, 2, 8, 200]))
        way = chance.randrange(8)
        if way == 0:
            data = data[:begin]
        elif way == 1:
            data = data[:end] + data[begin:end] * 3 + data[end:]
        elif way == 2:
            data = data[:begin] + chance.randbytes(end - begin) + data[end:]
        elif way == 3:
            data = data.decode("utf-8", "replace").encode(chance.choice(ENCODINGS), "replace")
        elif way == 4:
            data = data.replace(b"\n", chance.choice([b"\r", b"\r\n", b"\n\n", b"\x0b", b" "]))
        else:
            data = data[:begin] + chance.choice(BYTES) * chance.choice([1, 1, 2, 100]) + data[end:]
    return data


def _text(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)


def _lines(content: list[Row], _chance: random.Random) -> tuple[str, bytes]:
    return "rows.jsonl", "".join(_text(row) + "\n" for row in content).encode("utf-8", "surrogatepass")


def _array(content: list[Row], chance: random.Random) -> tuple[str, bytes]:
    return "rows.json", json.dumps(content, indent=chance.choice([None, 2])).encode()


def _nested(content: list[Row], chance: random.Random) -> tuple[str, bytes]:
    deep = chance.choice([1, 3, 3000])
    return "rows.json", (b'{"data": ' * deep) + json.dumps({"articles": content}).encode() + b"}" * deep


def _table(content: list[Row], chance: random.Random) -> tuple[str, bytes]:
    name, mark = chance.choice([("rows.csv", ","), ("rows.tsv", "\t"), ("rows.csv", ";")])
    head = list(dict.fromkeys(key for row in content for key in row)) or ["short_description", "headline", "category"]
    lines = [mark.join(head)] * chance.choice([0, 1, 1, 1, 2])
    quote = chance.choice(['"', '"', ""])
    lines += [mark.join(f"{quote}{row.get(key, '')}{quote}" for key in head) for row in content]
    return name, "\n".join(lines).encode("utf-8", "surrogatepass")


def _parquet(content: list[Row], _chance: random.Random) -> tuple[str, bytes]:
    plain = [{key: _plain(value) for key, value in row.items()} for row in content]
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(plain or [{"headline": "a", "short_description": "b"}]), written)
    return "rows.parquet", written.getvalue()


def _plain(value: object) -> str | None:
    return None if value is None else str(value)[:1000].encode("utf-8", "replace").decode("utf-8")


def _zipped(content: list[Row], chance: random.Random) -> tuple[str, bytes]:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, row in enumerate(content):
            folder, ending = chance.choice(["", "a/", "../../", "/tmp/"]), chance.choice(["txt", "txt", "txt", "jpg"])
            name = f"{folder}{number}.{ending}"
            text = f"{row.get('headline')}\n\n{row.get('short_description')}\n"
            packed.writestr(name, text.encode("utf-8", "surrogatepass"))
        if chance.random() < 0.1:
            packed.writestr("bomb.txt", b"0" * 20_000_000)
    return "rows.zip", written.getvalue()

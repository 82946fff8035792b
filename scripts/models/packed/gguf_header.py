"""The header of a GGUF file: what it says of the model, and the types of its tensors. No tensor is read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The gguf package reads it too, but takes half a
minute for a vocabulary of 262,144 tokens, and need not be there where a study is only checked.
"""

from __future__ import annotations

import functools
import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError

MAGIC = b"GGUF"
# Of a type's number: its name, the weights of a block, and the bytes of one (gguf.constants.GGML_QUANT_SIZES).
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}  # fmt: skip
# Of a value's type: its format, or of a text None.
_VALUES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 8: None, 10: "Q", 11: "q", 12: "d"}
_ARRAY, _TEXT = 9, 8
_MOST = 100_000_000  # entries of anything, far above any real file
_KEPT_TEXT = 1_000_000


@dataclass(frozen=True)
class Header:
    """What a GGUF file says.

    Attributes:
        metadata: its values by key; of a list only its length.
        tensors: of each tensor its shape and its type's name.
        bytes: that its tensors take.
    """

    metadata: dict[str, Any]
    tensors: dict[str, tuple[tuple[int, ...], str]]
    bytes: int

    @property
    def architecture(self) -> str:
        """The name of the model's family."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def parameters(self) -> int:
        """Weights in all tensors."""
        return sum(math.prod(shape) for shape, _ in self.tensors.values())

    @property
    def label(self) -> str:
        """In words, for readers: the type of most weights, and bits of a weight on average."""
        counts: Counter[str] = Counter()
        for shape, kind in self.tensors.values():
            counts[kind] += math.prod(shape)
        named = ", ".join(kind for kind, _ in counts.most_common())
        return f"GGUF ({named}), {8 * self.bytes / max(1, self.parameters):.2f} bits a weight"


def read(path: Path) -> Header:
    """Read a file's header.

    Raises:
        StudyError: it is no GGUF file, is cut off, or is one of several parts.
    """
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read(path: Path, size: int, changed: int) -> Header:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(_Reader(data), size)
    except (ValueError, struct.error, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is no complete GGUF file ({error}); fetch it again.") from None


class _Reader:
    """Reads values one after another; each is checked to lie in the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.place = data, 0

    def take(self, form: str) -> Any:
        size = struct.calcsize("<" + form)
        (value,) = struct.unpack("<" + form, self.data[self.place : self.place + size])
        self.place += size
        return value

    def count(self) -> int:
        number = self.take("Q")
        if number > _MOST:
            raise ValueError(f"{number} entries")
        return number

    def text(self) -> str:
        size = self.take("Q")
        if size > _KEPT_TEXT or self.place + size > len(self.data):
            raise ValueError(f"a text of {size} bytes")
        self.place += size
        return self.data[self.place - size : self.place].decode("utf-8")

    def value(self) -> Any:
        kind = self.take("I")
        if kind != _ARRAY:
            return self.text() if kind == _TEXT else self.take(_VALUES[kind])
        kind, count = self.take("I"), self.count()
        if kind == _TEXT:
            for _ in range(count):
                (size,) = struct.unpack_from("<Q", self.data, self.place)
                self.place += 8 + size
        else:
            self.place += count * struct.calcsize("<" + _VALUES[kind])
        return range(count)  # its length; the entries are read where the tokenizer is made


def _parse(reader: _Reader, size: int) -> Header:
    if reader.data[:4] != MAGIC:
        raise ValueError("it does not begin with GGUF")
    reader.place = 4
    version = reader.take("I")
    if version not in (2, 3):
        raise ValueError(f"version {version}")
    tensor_count, value_count = reader.count(), reader.count()
    metadata = {reader.text(): reader.value() for _ in range(value_count)}
    tensors, taken, end = {}, 0, 0
    for _ in range(tensor_count):
        name, dimensions = reader.text(), reader.take("I")
        if dimensions > 8:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        shape = tuple(reader.take("Q") for _ in range(dimensions))
        kind, offset = TYPES[reader.take("I")], reader.take("Q")
        held = math.prod(shape) // kind[1] * kind[2]
        tensors[name] = (shape, kind[0])
        taken, end = taken + held, max(end, offset + held)
    alignment = int(metadata.get("general.alignment", 32)) or 32
    begin = -(-reader.place // alignment) * alignment
    if begin + end > size:
        raise ValueError(f"it has {size} bytes instead of {begin + end}")
    return Header(metadata, tensors, taken)

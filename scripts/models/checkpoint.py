"""Reading a checkpoint directory without loading it: its files, parameters, digests. Imports no heavy library."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.models import tokenizer as tokenizers
from scripts.models.packed import forms
from scripts.models.source import WRITER
from scripts.models.stored_files import small_files, weight_files

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# Weights below this size are read whole for a digest; of larger ones, evenly spaced blocks are.
_READ_WHOLE_BYTES = 1_000_000_000
_BLOCK_BYTES = 1 << 16
_BLOCKS = 256
# Far above any real model; building a larger one would not end.
_LARGEST = {
    "num_hidden_layers": 10_000, "hidden_size": 1_000_000, "intermediate_size": 10_000_000, "vocab_size": 100_000_000,
    "num_attention_heads": 100_000, "num_key_value_heads": 100_000,
}  # fmt: skip


# Bits of each dtype that a safetensors file can name.
_BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: name -> dtype, shape, data_offsets.

    The format: 8 bytes of length, little-endian, then that many bytes of JSON, then the data
    (https://github.com/huggingface/safetensors#format).

    Raises:
        StudyError: the file is cut off or is no safetensors file.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if not 2 <= length <= min(size - 8, 100_000_000):
                raise ValueError("its header does not fit in it")
            header = json.loads(handle.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, last = entry["data_offsets"]
            if not all(type(number) is int and number >= 0 for number in (begin, last, *entry["shape"])):
                raise ValueError(f"{name[:80]!r} has a shape or place that is no whole number")
            if not 0 <= begin <= last <= size:
                raise ValueError(f"{name[:80]!r} lies outside it")
            if entry["dtype"] not in _BITS:
                raise ValueError(f"{name[:80]!r} has the unknown dtype {str(entry['dtype'])[:20]!r}")
            if math.prod(entry["shape"]) * _BITS[entry["dtype"]] != 8 * (last - begin):
                raise ValueError(f"{name[:80]!r} has {last - begin} bytes, which does not fit its shape")
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if 8 + length + end != size:
            raise ValueError(f"it has {size} bytes instead of {8 + length + end}")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise StudyError(f"{path} is not a complete safetensors file ({error}); fetch or make it again.") from None
    return header


def parameters(directory: Path) -> int:
    """Count the parameters in the safetensors files of a checkpoint, as stored: tied ones once, no tensor loaded."""
    entries = (entry for path in weight_files(directory) for entry in read_header(path).values())
    return sum(math.prod(entry["shape"]) for entry in entries)


def weights_digest(directory: Path) -> str:
    """Return a digest of a checkpoint's weights: names, sizes, headers, and content.

    Below 1 GB the content is read whole; of larger checkpoints 256 evenly spaced blocks of 64 KiB a file, which
    is fast and still distinguishes retrained weights.
    """
    paths = weight_files(directory)
    whole = sum(path.stat().st_size for path in paths) < _READ_WHOLE_BYTES
    digest = hashlib.sha256()
    for path in paths:
        header = json.dumps(read_header(path), sort_keys=True)
        digest.update(f"{path.name}\0{path.stat().st_size}\0{header}\0".encode())
        for block in _content(path, whole):
            digest.update(block)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return a digest of one file of weights by its size and content, as :func:`weights_digest` reads it."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}\0".encode())
    for block in _content(path, size < _READ_WHOLE_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _content(path: Path, whole: bool) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as handle:
        if whole:
            while block := handle.read(1 << 20):
                yield block
            return
        for number in range(_BLOCKS):
            handle.seek(number * max(size - _BLOCK_BYTES, 0) // (_BLOCKS - 1))
            yield handle.read(_BLOCK_BYTES)


def tokenizer_file(directory: Path) -> Path | None:
    """Return the file that holds a checkpoint's vocabulary, or None."""
    return next((directory / name for name in TOKENIZER_FILES if (directory / name).is_file()), None)


def tokenizer_identity(directory: Path) -> str:
    """Return a digest that is the same for two checkpoints exactly when their vocabularies are."""
    path = tokenizer_file(directory)
    if path is None:
        raise StudyError(f"{directory} has no tokenizer ({', '.join(TOKENIZER_FILES)}); add the checkpoint's own.")
    return "content:" + (tokenizers.identity(path) if path.suffix == ".json" else files.sha256(path))


def has_chat_template(directory: Path) -> bool:
    """Whether a checkpoint's tokenizer has a chat template, in a file of its own or in ``tokenizer_config.json``.

    Raises:
        StudyError: that file is no JSON object.
    """
    if any((directory / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    if any(directory.glob("additional_chat_templates/*.jinja")):
        return True
    path = directory / "tokenizer_config.json"
    return path.is_file() and bool(read_object(path, "", "restore it").get("chat_template"))


def small_files_digest(directory: Path) -> str:
    """Return a digest of the files other than weights: configurations, tokenizer, templates."""
    digest = hashlib.sha256()
    for path in small_files(directory):
        digest.update(f"{path.relative_to(directory).as_posix()}\0{files.sha256(path)}\0".encode())
    return digest.hexdigest()


def read_config(directory: Path) -> dict[str, Any]:
    """Return a checkpoint's ``config.json``.

    Raises:
        StudyError: it is missing or is not a JSON object.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise StudyError(f"{directory} has no config.json; name the directory of a complete checkpoint.")
    return read_object(path)


def read_generation_config(directory: Path) -> dict[str, Any]:
    """Return a checkpoint's ``generation_config.json``; empty where it has none.

    Raises:
        StudyError: it is not a JSON object.
    """
    path = directory / "generation_config.json"
    return read_object(path) if path.is_file() else {}


def read_object(path: Path, key: str = "", remedy: str = "fetch the checkpoint again") -> dict[str, Any]:
    """Return the JSON object in a file; ``key`` begins the sentence of an error, ``remedy`` ends it.

    Raises:
        StudyError: it holds none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{key}{path} is not valid JSON ({error}); {remedy}.") from None
    if not isinstance(value, dict):
        raise StudyError(f"{key}{path} holds no JSON object; {remedy}.")
    return value


def check(directory: Path, kind: str = WRITER) -> dict[str, Any]:
    """Check that a directory is a checkpoint in safetensors, of a causal language model if ``kind`` is ``WRITER``.

    Returns:
        Its config.

    Raises:
        StudyError: what is missing, and what to do.
    """
    if not directory.is_dir():
        raise StudyError(f"{directory} is not a directory; name the directory of a checkpoint.")
    if (directory / "adapter_config.json").is_file():
        raise StudyError(f"{directory} holds an adapter (adapter_config.json); merge it into its base model first.")
    config = read_config(directory)
    check_config(config, str(directory / "config.json"), kind)
    if tokenizer_file(directory) is None:
        raise StudyError(f"{directory} has no tokenizer ({', '.join(TOKENIZER_FILES)}); add the checkpoint's own.")
    if not weight_files(directory):
        if any(next(directory.glob(pattern), None) for pattern in _PICKLES):
            raise StudyError(
                f"{directory} has pickled weights only, and loading a pickle can run any code; "
                "convert them to model.safetensors first."
            )
        raise StudyError(f"{directory} has no model.safetensors; name the directory of a complete checkpoint.")
    return config


def check_config(config: dict[str, Any], where: str, kind: str = WRITER) -> None:
    """Check, without transformers, that a config looks like that of a model of this kind.

    Raises:
        StudyError: no ``model_type``, or an architecture of another kind.
    """
    if not config.get("model_type"):
        raise StudyError(f"{where} has no model_type; it is not the config.json of a transformers model.")
    if not isinstance(config["model_type"], str):
        raise StudyError(f"{where}: model_type is {str(config['model_type'])[:60]!r}, which is no name; correct it.")
    for key, largest in _LARGEST.items():
        value = config.get(key)
        # Some families have a width for each layer.
        if not isinstance(value, list | None) and (type(value) is not int or not 0 < value <= largest):
            raise StudyError(f"{where}: {key} is {str(value)[:60]}; give a whole number from 1 to {largest}.")
    if config.get("transformers_weights") is not None:
        raise StudyError(f"{where} names other weights in transformers_weights; rename them to model.safetensors.")
    _check_stored(config, where, kind)
    names = config.get("architectures") or []
    if kind == WRITER and names and not any("CausalLM" in str(name) or "LMHead" in str(name) for name in names):
        raise StudyError(
            f"{where} describes {names[0]}, which is not a causal language model; choose one that generates text."
        )


def _check_stored(config: dict[str, Any], where: str, kind: str) -> None:
    """Refuse weights in a form that is not read, and an encoder's in any."""
    form = forms.of_config(config, where)
    if form is not None and kind != WRITER:
        raise StudyError(
            f"{where}: the weights are quantised ({form.label}), and an encoder's are read as plain numbers alone; "
            "choose the checkpoint that is not."
        )


def basics(config: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an architecture that a report needs, under transformers' own names."""
    keys = ("model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    keys += ("head_dim", "intermediate_size", "vocab_size", "max_position_embeddings", "tie_word_embeddings")
    return {key: config[key] for key in keys if config.get(key) is not None}

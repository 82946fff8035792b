"""A model in a GGUF file: checked by its header, and made an ordinary checkpoint of by transformers' own reader."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.foundation.failures import first_line
from scripts.models import checkpoint
from scripts.models.packed import gguf_header
from scripts.models.source import WRITER, Job

ENDING = ".gguf"
# transformers' names of what a header gives, by the header's own behind the architecture's name.
_FIGURES = {
    "block_count": "num_hidden_layers", "embedding_length": "hidden_size", "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim", "context_length": "max_position_embeddings",
}  # fmt: skip
_TYPES = {"gemma3": "gemma3_text", "gemma2": "gemma2", "phi3": "phi3", "qwen2": "qwen2", "qwen3": "qwen3",
          "mistral": "mistral", "llama": "llama"}  # fmt: skip


def named(path: Path) -> bool:
    """Whether a path is that of a GGUF file, by its name."""
    return path.suffix.lower() == ENDING


def only_one(directory: Path) -> Path | None:
    """The GGUF file of a folder that holds no other checkpoint; None where there is none.

    Raises:
        StudyError: there are several.
    """
    if not directory.is_dir() or (directory / "config.json").is_file():
        return None
    found = sorted(path for path in directory.iterdir() if named(path) and path.is_file())
    if len(found) > 1:
        raise StudyError(
            f"{directory} holds {len(found)} GGUF files, {found[0].name} among them; name one by its path."
        )
    return found[0] if found else None


def check(path: Path, kind: str = WRITER) -> gguf_header.Header:
    """Check a file by its header, and that it can be read here.

    Raises:
        StudyError: what is wrong, and what to do.
    """
    if kind != WRITER:
        raise StudyError(f"{path} is a GGUF file, and an encoder is read from safetensors alone; choose a checkpoint.")
    header = gguf_header.read(path)
    if int(header.metadata.get("split.count", 0)) > 1:
        raise StudyError(
            f"{path} is one of {header.metadata['split.count']} parts; join them with llama.cpp's "
            "`llama-gguf-split --merge`, and name the whole."
        )
    if not header.tensors or "tokenizer.ggml.tokens" not in header.metadata:
        raise StudyError(f"{path} holds no model with a tokenizer (a GGUF of a vocabulary, an adapter or a projector).")
    check_reader(str(path))
    return header


def check_reader(where: str) -> None:
    """Check that what reads GGUF files is installed.

    Raises:
        StudyError: it is not; ``where`` begins the sentence.
    """
    if importlib.util.find_spec("gguf") is None:
        raise StudyError(
            f"{where} is a GGUF file, which is read with the package gguf, and that is not installed; install "
            "envs/requirements.txt (`make setup`)."
        )


def digest(path: Path) -> str:
    """A digest of a file's content."""
    return checkpoint.file_digest(path)


def config_json(path: Path) -> dict[str, Any] | None:
    """What a header says, as a config.json would; None of an architecture whose name is another in transformers."""
    header = gguf_header.read(path)
    model_type = _TYPES.get(header.architecture)
    if model_type is None:
        return None
    found = {name: header.metadata.get(f"{header.architecture}.{key}") for key, name in _FIGURES.items()}
    figures = {name: value for name, value in found.items() if type(value) is int}
    tied = "output.weight" not in header.tensors
    vocabulary = {"vocab_size": len(header.metadata["tokenizer.ggml.tokens"]), "tie_word_embeddings": tied}
    return {"model_type": model_type} | figures | vocabulary


def make(path: Path, job: Job) -> dict[str, Any]:
    """Write the model as an ordinary checkpoint in the job's dtype, with the file's tokenizer; its manifest's entries.

    Raises:
        StudyError: transformers' reader does not know the architecture or a type.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from scripts.models import saving

    header = check(path, job.kind)
    where = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(path.parent), dtype=getattr(torch, job.dtype), quantization_config=GgufConfig(dequantize=True), **where
        )
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **where)
    except (ValueError, KeyError, NotImplementedError, RuntimeError, ImportError, OSError) as error:
        raise StudyError(
            f"transformers can't read {path}, an '{header.architecture}' model ({first_line(error)}); choose the "
            "checkpoint in safetensors."
        ) from None
    _end_turns(model, header)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = header.metadata.get("tokenizer.chat_template")
    model.config.dtype = getattr(torch, job.dtype)
    model.save_pretrained(job.output)
    tokenizer.save_pretrained(job.output)
    _drop_added(job.output, len(header.metadata["tokenizer.ggml.tokens"]))
    stored = {"form": header.label, "bytes": header.bytes, "read_as": job.dtype, "file": path.name}
    return saving.manifest(job) | {"stored": stored}


def _drop_added(directory: Path, count: int) -> None:
    """Drop special tokens that the tokenizer's class adds by default behind the file's own, which have no embedding."""
    path, settings = directory / "tokenizer.json", directory / "tokenizer_config.json"
    content = files.read_json(path)
    dropped = {each["content"] for each in content["added_tokens"] if each["id"] >= count}
    if not dropped:
        return
    content["added_tokens"] = [each for each in content["added_tokens"] if each["id"] < count]
    files.write_json(path, content)
    kept = {key: value for key, value in files.read_json(settings).items() if not _names_one(value, dropped)}
    files.write_json(settings, kept)


def _names_one(value: Any, tokens: set[str]) -> bool:
    return (
        (value.get("content") if isinstance(value, dict) else value) in tokens
        if isinstance(value, dict | str)
        else False
    )


def _end_turns(model: Any, header: gguf_header.Header) -> None:
    """A chat model ends an answer with the token that ends a turn, too."""
    config = model.generation_config
    turn, ends = header.metadata.get("tokenizer.ggml.eot_token_id"), config.eos_token_id
    if type(turn) is int and turn != ends and not isinstance(ends, list):
        config.eos_token_id = [turn] if ends is None else [ends, turn]

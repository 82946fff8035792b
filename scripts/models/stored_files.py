"""Which files of a checkpoint directory transformers reads: those that are fetched, digested and pruned, and no others.

Imports no heavy library.
"""

import json
import re
from pathlib import Path

from scripts.foundation.errors import StudyError

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Configurations, vocabularies and templates; patterns as ``Path.glob`` and the hub's client have them.
SMALL_FILES = (
    "config.json", "config.*.json", "generation_config.json", "adapter_config.json",
    "tokenizer_config.json", "tokenizer.json", "tokenizer.*.json", "special_tokens_map.json", "added_tokens.json",
    "processor_config.json", "preprocessor_config.json",
    "vocab.json", "target_vocab.json", "word_shape.json", "word_pronunciation.json", "prophetnet.tokenizer",
    "vocab.txt", "merges.txt", "dict.txt", "bpe.codes", "emoji.json", "tekken.json", "normalizer.json",
    # SentencePiece and tiktoken vocabularies: the loader takes any *.model where the usual names are missing.
    "*.model", "tokenizer.model.*", "*.spm", "*.tiktoken",
    # What sentence-transformers puts behind an encoder.
    "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
    "[0-9]_*/config.json", "[0-9]_*/model.safetensors",
    "chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja",
)  # fmt: skip
_PLAIN_NAME = re.compile(r"[\w.-]+\.safetensors", re.ASCII)


def small_files(directory: Path) -> list[Path]:
    """Return the files beside the weights that transformers may read, sorted by their path in the directory."""
    found = {path for pattern in SMALL_FILES for path in directory.glob(pattern) if path.is_file()}
    return sorted(found, key=lambda path: path.relative_to(directory).as_posix())


def weight_files(directory: Path) -> list[Path]:
    """Return the safetensors files that ``from_pretrained`` loads, sorted by name; empty when there are none.

    Raises:
        StudyError: the index names a file that is not there, or is not valid.
    """
    if (directory / WHOLE).is_file():
        return [directory / WHOLE]
    names = shard_names(directory)
    for name in names:
        if not (directory / name).is_file():
            raise StudyError(f"{directory / INDEX} names {name}, which is not there; fetch the checkpoint again.")
    return [directory / name for name in names]


def shard_names(directory: Path) -> list[str]:
    """Return the names of the weight files in the index, sorted; empty without an index.

    Raises:
        StudyError: the index is not valid, or names something else than a safetensors file beside it.
    """
    index = directory / INDEX
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        plain = all(_PLAIN_NAME.fullmatch(name) for name in names)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise StudyError(f"{index} is not a valid index of weights; fetch the checkpoint again.") from None
    if not plain:
        raise StudyError(f"{index} names a file that is no .safetensors beside it; fetch the checkpoint again.")
    return names

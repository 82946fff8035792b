"""The settings of each source of a model, with their defaults. The workflow reads them too: no heavy library."""

import json
import math
import re
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = ("train", "hub", "path", "random")
DTYPES = ("float32", "bfloat16", "float16")
# 256 bytes and the special tokens must fit, and some merges beside them.
SMALLEST_VOCABULARY = 320


@dataclass(frozen=True)
class TrainSettings:
    """A Llama trained from scratch. Sizes are counts of units, not of bytes."""

    layers: int = 2  # decoder layers
    hidden: int = 128  # width of the residual stream
    heads: int = 4  # query heads
    kv_heads: int = 4  # key and value heads (grouped-query attention)
    intermediate: int = 256  # width of the gated MLP
    vocabulary: int = 4096  # entries of the byte-level BPE
    steps: int = 300  # optimiser steps on headlines, after the copying steps
    batch: int = 32  # rows a step
    learning_rate: float = 5e-3  # peak of AdamW's; Muon's is three times that
    copy_steps: int = 150  # optimiser steps on random sequences to copy, before any headline
    max_rows: int | None = None  # training rows used; None uses all
    threads: int = 2  # CPU threads; another number rounds otherwise, and so gives other weights


@dataclass(frozen=True)
class HubSettings:
    """A repository of a model hub at a pinned commit."""

    id: str
    revision: str


@dataclass(frozen=True)
class PathSettings:
    """A local checkpoint directory."""

    path: str


@dataclass(frozen=True)
class RandomSettings:
    """An architecture with random weights: speed and memory only."""

    architecture: str | dict[str, Any]  # a config.json file, or its content
    vocabulary: int = 32768  # entries of the tokenizer, at most the architecture's own


SourceSettings = TrainSettings | HubSettings | PathSettings | RandomSettings
_TYPES: dict[str, type] = {"train": TrainSettings, "hub": HubSettings, "path": PathSettings, "random": RandomSettings}


@dataclass(frozen=True)
class ModelSettings:
    """One model of a study: its source with that source's settings, the dtype of its weights, the seed."""

    source: str
    options: SourceSettings
    dtype: str
    seed: int


def read(name: str, settings: dict[str, Any]) -> ModelSettings:
    """Read the settings of model ``name``, filling in defaults.

    Raises:
        StudyError: an unknown source, key or dtype, or a missing key; the message names it.
    """
    source = settings.get("source")
    if source not in SOURCES:
        raise StudyError(f"models.{name}.source is {source!r}; choose one of {', '.join(SOURCES)}.")
    dtype = settings.get("dtype") or ("bfloat16" if source == "random" else "float32")
    if dtype not in DTYPES:
        raise StudyError(f"models.{name}.dtype is {dtype!r}; choose one of {', '.join(DTYPES)}.")
    given = settings.get(source) or {}
    kind = _TYPES[source]
    known = {field.name: field for field in fields(kind)}
    for key in given:
        if key not in known:
            raise StudyError(f"models.{name}.{source}.{key} is not a setting; the settings are {', '.join(known)}.")
    for key, field in known.items():
        if field.default is MISSING and given.get(key) in (None, ""):
            raise StudyError(f"models.{name}.{source}.{key} is missing; give it in the study's configuration.")
    return ModelSettings(source=source, options=kind(**given), dtype=dtype, seed=int(settings.get("seed", 0)))


def as_dict(options: SourceSettings) -> dict[str, Any]:
    """Return a source's settings as a plain dictionary."""
    return asdict(options)


def architecture(name: str, options: RandomSettings) -> dict[str, Any]:
    """Return the architecture of a random model: the file's content, or what stands inline.

    Raises:
        StudyError: the file is missing or is not a JSON object.
    """
    if isinstance(options.architecture, dict):
        return options.architecture
    path = Path(options.architecture)
    key = f"models.{name}.random.architecture"
    try:
        # The project's own shapes can be named wherever the study runs.
        value = json.loads((path if path.exists() else PROJECT / path).read_text(encoding="utf-8"))
    except OSError:
        raise StudyError(f"{key}: the file {path} cannot be read; name a config.json of an architecture.") from None
    except ValueError as error:
        raise StudyError(f"{key}: {path} is not valid JSON ({error}); correct it.") from None
    if not isinstance(value, dict):
        raise StudyError(f"{key}: {path} holds no JSON object; name a config.json of an architecture.")
    return value


def random_vocabulary(name: str, options: RandomSettings) -> int:
    """Return the size asked of the tokenizer of a random model: its own setting, at most the architecture's."""
    return min(options.vocabulary, int(architecture(name, options).get("vocab_size") or options.vocabulary))


def check_hub(name: str, options: HubSettings) -> None:
    """Check that a hub model is pinned.

    Raises:
        StudyError: the id is no ``owner/name``, or the revision is no full commit.
    """
    where = f"models.{name}.hub"
    if not isinstance(options.id, str) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", options.id, re.ASCII):
        raise StudyError(f"{where}.id is {options.id!r}; give a repository as owner/name.")
    if not isinstance(options.revision, str) or not re.fullmatch(r"[0-9a-f]{40}", options.revision):
        raise StudyError(
            f"{where}.revision is {options.revision!r}; give the full 40-digit commit, which the repository's page "
            "shows under its files' history, so that the study always gets the same weights."
        )


def check_random(name: str, options: RandomSettings) -> None:
    """Check that an architecture file can be built and given a tokenizer.

    Raises:
        StudyError: the file is missing, or a key is missing or does not fit the others.
    """
    config = architecture(name, options)
    where = f"models.{name}.random.architecture"
    for key in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"):
        if not config.get(key):
            raise StudyError(f"{where} has no {key}; name a complete config.json of a causal language model.")
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    check_shape(where, config["hidden_size"], heads, kv_heads, config.get("head_dim"))
    if random_vocabulary(name, options) < SMALLEST_VOCABULARY:
        raise StudyError(
            f"models.{name}.random: a vocabulary of {random_vocabulary(name, options)} is too small; "
            f"give at least {SMALLEST_VOCABULARY}, in the setting and in the architecture's vocab_size."
        )


def check_shape(where: str, hidden: int, heads: int, kv_heads: int, head_size: int | None = None) -> None:
    """Check that the heads of an attention layer fit its width.

    Raises:
        StudyError: naming both numbers.
    """
    if head_size is None:
        if hidden % heads:
            raise StudyError(f"{where}: hidden ({hidden}) is not divisible by heads ({heads}); change one of them.")
        head_size = hidden // heads
    if heads % kv_heads:
        raise StudyError(f"{where}: heads ({heads}) is not divisible by kv_heads ({kv_heads}); change one of them.")
    if head_size % 2:
        raise StudyError(
            f"{where}: each head is {head_size} wide, but rotary positions need an even width; change hidden or heads."
        )


def check_train(name: str, options: TrainSettings) -> None:
    """Check that a model with these settings can be built and trained.

    Raises:
        StudyError: naming the first key that does not fit.
    """
    where = f"models.{name}.train"
    least = dict.fromkeys(("layers", "hidden", "heads", "kv_heads", "intermediate", "batch", "steps", "threads"), 1)
    least |= {"vocabulary": SMALLEST_VOCABULARY, "copy_steps": 0}
    if options.max_rows is not None:
        least["max_rows"] = 2
    for key, minimum in least.items():
        value = getattr(options, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise StudyError(f"{where}.{key} is {value!r}; give a whole number of at least {minimum}.")
    rate = options.learning_rate
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise StudyError(f"{where}.learning_rate is {rate!r}; give a number above 0, such as 0.003.")
    check_shape(where, options.hidden, options.heads, options.kv_heads)

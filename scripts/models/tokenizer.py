"""The tokenizer of trained and random models: a byte-level BPE that turns a plain text into a ready prompt."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError

BEGIN = "<|begin_of_text|>"
HEADLINE = "<|headline|>"
END = "<|end_of_text|>"
PAD = "<|pad|>"
# Their order gives their ids, 0 to 3.
SPECIAL = (BEGIN, HEADLINE, END, PAD)
BEGIN_ID, HEADLINE_ID, END_ID, PAD_ID = range(4)
PLACEHOLDER = "{summary}"
# 256 bytes and the special tokens must fit, and some merges beside them.
SMALLEST_VOCABULARY = 320


def check_prompt(prompt: str) -> None:
    """Check that a prompt template takes a summary.

    Raises:
        StudyError: the template has no ``{summary}``.
    """
    if PLACEHOLDER not in prompt:
        raise StudyError(f"generation.prompt has no {PLACEHOLDER}; put it where each news summary belongs.")


def prompt_text(prompt: str, summary: str) -> str:
    """Return the prompt of one summary. Braces in the summary stay as they are."""
    return prompt.replace(PLACEHOLDER, summary)


def headline_text(headline: str) -> str:
    """Return a headline as the model writes it: with a space in front.

    A byte-level BPE keeps the space with the word, so only this way has a name the same tokens at the start of a
    headline as in the middle of a summary, and can be copied.
    """
    return " " + headline


def _texts(rows: Iterable[dict[str, Any]], prompt: str) -> Iterator[str]:
    for row in rows:
        yield prompt_text(prompt, row["summary"])
        yield headline_text(row["headline"])


def train(rows: Iterable[dict[str, Any]], prompt: str, vocabulary: int) -> Any:
    """Train the byte-level BPE on prompts and headlines, and return a ``tokenizers.Tokenizer``.

    The result depends on the rows, the prompt and ``vocabulary`` alone, so two models of one study that ask for the
    same vocabulary have the same ``tokenizer.json``, byte for byte. The vocabulary can come out smaller than asked
    for when the texts run out of pairs to merge.

    Its post-processor writes ``<|begin_of_text|> text <|headline|>``, so that tokenising a plain text gives a
    prompt after which the model writes a headline, ended by ``<|end_of_text|>``.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(rows, prompt), trainer=trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {HEADLINE}", special_tokens=[(BEGIN, BEGIN_ID), (HEADLINE, HEADLINE_ID)]
    )
    return tokenizer


def trained_identity(vocabulary: int) -> str:
    """Return a value that is equal for two tokenizers that ``train`` makes of one study's rows and prompt."""
    return f"trained:{vocabulary}"


def save(tokenizer: Any, directory: Path, max_positions: int) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` so that ``AutoTokenizer`` loads them."""
    files.write_text(directory / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [HEADLINE],
        # Decoder-only models are padded on the left, so that every prompt of a batch ends where writing begins.
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        # A summary that spells a special token means its letters: text is never control.
        "split_special_tokens": True,
        "model_max_length": max_positions,
    }
    files.write_json(directory / "tokenizer_config.json", config)


def identity(path: Path) -> str:
    """Return a digest of what a ``tokenizer.json`` does: two files with the same one give every text the same ids.

    Added tokens are left out: families rename reserved ones from model to model.
    """
    from hashlib import sha256

    value = json.loads(path.read_text(encoding="utf-8"))
    parts = [value.get(key) for key in ("normalizer", "pre_tokenizer", "model")]
    added = {token["content"] for token in value.get("added_tokens") or []}
    vocabulary = (parts[-1] or {}).get("vocab")
    if isinstance(vocabulary, dict):
        parts[-1] |= {"vocab": {word: index for word, index in vocabulary.items() if word not in added}}
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

"""Tiny Llama checkpoints, complete in form: safetensors, tokenizer, configuration, manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.foundation import files

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
CORPUS = (
    "The mayor of Norwich said on Monday that the new bridge will open in spring.\n",
    "Shares of the bank fell by 4% after a storm hit the coast.\n\nOfficials are looking at it.\n",
    "A team from the school won the award: 'Best plan', they said.\r\n",
    "Headline: River rises, village holds a vote {summary} {{ }}\n",
)
SUMMARIES = (
    "The mayor of Norwich said that the bridge will open on Monday, and the school won the award.",
    "Shares fell by 4% after the storm.",
    "A team from the river village holds a plan, and the vote of the school is on Monday.",
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def make_tokenizer(
    vocabulary: int = 320, *, corpus: tuple[str, ...] = CORPUS, adds_begin: bool = False,
    chat_template: str | None = None,
) -> Any:  # fmt: skip
    """A byte-level BPE tokenizer of exactly ``vocabulary`` tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[BEGIN, END, PAD], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(corpus, trainer)
    assert tokenizer.get_vocab_size() == vocabulary
    if adds_begin:
        begin = (BEGIN, tokenizer.token_to_id(BEGIN))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[begin])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD)
    fast.chat_template = chat_template
    return fast


def make_checkpoint(
    directory: Path, *, layers: int = 2, heads: int = 4, kv_heads: int = 2, intermediate: int = 128,
    tied: bool = False, bias: bool = False, seed: int = 0, dtype: str = "float32", tokenizer: Any = None,
    generation: dict[str, Any] | None = None, successor: Callable[[int], int] | None = None, rows: int | None = None,
) -> Path:  # fmt: skip
    """Write a checkpoint and return its directory.

    Args:
        directory: where to.
        generation: the content of generation_config.json beside the special tokens.
        successor: makes a model that always writes ``successor(token)`` after ``token``; random weights without.
        rows: rows of the embeddings where they are padded behind the tokenizer's last token.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer or make_tokenizer()
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=128 // 4, max_position_embeddings=512,
        attention_bias=bias, tie_word_embeddings=tied, pad_token_id=tokenizer.pad_token_id,
        # Wide enough for logits that rounding can't reorder.
        initializer_range=0.15, **special,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    if successor is not None:
        _make_chain(model, successor)
    if rows is not None:
        model.resize_token_embeddings(rows, mean_resizing=True)
    model.to(getattr(torch, dtype))
    model.generation_config = GenerationConfig(**special)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    if generation is not None:
        # Not through transformers, which would refuse to write some of what can be found in the wild.
        files.write_json(directory / "generation_config.json", special | generation)
    files.write_json(
        directory / "manifest.json",
        {"source": "train", "path": ".", "parameters": model.num_parameters(), "dtype": dtype, "architecture": {}},
    )
    return directory


def _make_chain(model: Any, successor: Callable[[int], int]) -> None:
    """Silence the layers, so that only the last token counts; its embedding is its successor's row of the head."""
    import torch

    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        embedding.normal_()
        head.zero_()
        for token in range(len(embedding)):
            head[successor(token)] += embedding[token]


def variant(checkpoint: Path, directory: Path, **replaced: Any) -> Path:
    """A checkpoint that shares all files but those replaced: ``variant(a, b, generation_config={...})``."""
    directory.mkdir(parents=True)
    for file in checkpoint.iterdir():
        (directory / file.name).symlink_to(file)
    for name, content in replaced.items():
        (directory / f"{name}.json").unlink(missing_ok=True)
        if content is not None:
            files.write_json(directory / f"{name}.json", content)
    return directory


def write_dataset(path: Path, count: int = 3) -> Path:
    """Write the first ``count`` summaries as an evaluation set and return its path."""
    rows = [
        {"id": f"sample-{number}", "summary": text, "headline": "A headline", "category": ""}
        for number, text in enumerate((SUMMARIES * count)[:count])
    ]
    files.write_json_lines(path, rows)
    return path

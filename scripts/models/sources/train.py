"""Source ``train``: a Llama trained from scratch on the study's training rows."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.models import shape
from scripts.models import tokenizer as tokenizers
from scripts.models.source import WRITER, Job, Source

# Room for a prompt of 100 words, few-shot examples and a headline.
_MAX_POSITIONS = 2048


@dataclass(frozen=True)
class Settings(Source):
    """Architecture and schedule. Sizes are counts of units, not of bytes."""

    training_rows: ClassVar[int] = 2
    uses_gpu: ClassVar[bool] = True

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
    threads: int = 1  # CPU threads; another number rounds otherwise, and so gives other weights

    def has_chat_template(self) -> bool:
        """The project's own tokenizer has none."""
        return False

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check that a model with these settings can be built and trained."""
        where = f"{key}.train"
        least = dict.fromkeys(("layers", "hidden", "heads", "kv_heads", "intermediate", "batch", "steps", "threads"), 1)
        least |= {"vocabulary": tokenizers.SMALLEST_VOCABULARY, "copy_steps": 0}
        if self.max_rows is not None:
            least["max_rows"] = 2
        for option, minimum in least.items():
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
                raise StudyError(f"{where}.{option} is {value!r}; give a whole number of at least {minimum}.")
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            raise StudyError(f"{where}.learning_rate is {rate!r}; give a number above 0, such as 0.003.")
        shape.check_heads(where, self.hidden, self.heads, self.kv_heads)

    def tokenizer_identity(self) -> str | None:
        """The vocabulary's size: all tokenizers of a study are trained on the same rows."""
        return tokenizers.trained_identity(self.vocabulary)

    def config_json(self) -> dict[str, Any]:
        """A Llama of these sizes; input and output embeddings are tied."""
        return {
            "model_type": "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.intermediate,
            "max_position_embeddings": _MAX_POSITIONS,
            "tie_word_embeddings": True,
        }

    def cpu_threads(self) -> int | None:
        """The option, since another number of threads gives other weights."""
        return self.threads

    def prepare(self, job: Job) -> dict[str, Any]:
        """Train the model on the job's device."""
        from scripts.models import batches, libraries, saving, training

        libraries.import_transformers(whole=False)
        import torch

        tokenizers.check_prompt(job.prompt)
        torch.set_num_threads(self.threads)
        rows = files.read_json_lines(job.rows)
        tokenizer = tokenizers.train(rows, job.prompt, self.vocabulary)
        sequences = batches.encode(rows[: self.max_rows], job.prompt, tokenizer)
        config = training.config(self, tokenizer.get_vocab_size(), _MAX_POSITIONS)
        with job.device() as device, libraries.without_compiler():
            trained = training.train(self, sequences, config, job.seed, device)
        saving.save_model(trained.model, job.dtype, job.output)
        tokenizers.save(tokenizer, job.output, _MAX_POSITIONS)
        return saving.manifest(job) | {
            "prompt": job.prompt,
            "training": {"settings": asdict(self), **trained.figures},
        }

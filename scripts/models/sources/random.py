"""Source ``random``: an architecture with random weights. Its speed and memory are real; its text means nothing."""

import hashlib
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tqdm import tqdm

from scripts.foundation import files, paths, plugins
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, description, shape
from scripts.models import tokenizer as tokenizers
from scripts.models.source import WRITER, Job, Source

# What one thread draws at a time, in parameters: the float32 scratch of a thread is four times this in bytes.
_CHUNK = 1 << 23
# A shard is drawn whole before it is written, so this bounds the memory (a larger single tensor gets its own shard).
_SHARD_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Settings(Source):
    """An architecture with random weights: speed and memory only."""

    default_dtype: ClassVar[str] = "bfloat16"
    training_rows: ClassVar[int] = 1  # for its tokenizer
    random_weights: ClassVar[bool] = True

    architecture: str | dict[str, Any]  # a config.json file, or its content
    vocabulary: int = 32768  # entries of the tokenizer, at most the architecture's own

    def has_chat_template(self) -> bool:
        """The project's own tokenizer has none."""
        return False

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check that the architecture can be built and given a tokenizer."""
        where = f"{key}.random.architecture"
        config = self._content(where)
        for part in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"):
            if not config.get(part):
                raise StudyError(f"{where} has no {part}; name a complete config.json of a causal language model.")
        heads = config["num_attention_heads"]
        kv_heads = config.get("num_key_value_heads") or heads
        shape.check_heads(where, config["hidden_size"], heads, kv_heads, config.get("head_dim"))
        if self._tokens(config) < tokenizers.SMALLEST_VOCABULARY:
            raise StudyError(
                f"{key}.random: a vocabulary of {self._tokens(config)} is too small; give at least "
                f"{tokenizers.SMALLEST_VOCABULARY}, in the setting and in the architecture's vocab_size."
            )

    def fingerprint(self) -> str:
        """Digest of the architecture where it is a file."""
        if isinstance(self.architecture, dict):
            return ""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    def tokenizer_identity(self) -> str | None:
        """The same as that of a trained model with this vocabulary."""
        return tokenizers.trained_identity(self._tokens(self._content()))

    def config_json(self) -> dict[str, Any]:
        """The architecture."""
        return self._content()

    def prepare(self, job: Job) -> dict[str, Any]:
        """Draw the weights; they do not depend on the number of threads."""
        from scripts.models import saving

        tokenizers.check_prompt(job.prompt)
        architecture = self._content()
        tokenizer = tokenizers.train(files.read_json_lines(job.rows), job.prompt, self._tokens(architecture))
        config = _config(f"{job.key}.random.architecture", architecture, job.dtype)
        deviation = float(getattr(config, "initializer_range", None) or 0.02)
        _write_weights(shapes(config), job.dtype, job.seed, deviation, job.threads, job.output)
        config.save_pretrained(job.output)
        saving.save_generation_config(job.output)
        tokenizers.save(tokenizer, job.output, config.max_position_embeddings)
        return saving.manifest(job) | {
            "random": {
                "distribution": "normal, mean 0; norms are 1 and biases 0",
                "standard_deviation": deviation,
                "tokenizer_vocabulary": tokenizer.get_vocab_size(),
            },
        }

    def _content(self, where: str = "architecture") -> dict[str, Any]:
        """The file's content, or what stands inline; ``where`` is its key, for errors."""
        if isinstance(self.architecture, dict):
            return self.architecture
        path = Path(self.architecture)
        if paths.file_problem(path):
            path = plugins.ROOT / path  # the project's own shapes can be named wherever the study runs
        if paths.file_problem(path):
            paths.check_file(where, self.architecture)
        return checkpoint.read_object(path, f"{where}: ", "correct it")

    def _tokens(self, architecture: dict[str, Any]) -> int:
        return min(self.vocabulary, int(architecture.get("vocab_size") or self.vocabulary))


def _config(where: str, architecture: dict[str, Any], dtype: str) -> Any:
    """Return the architecture's transformers config, with the special tokens of the tokenizer made here."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    content = dict(architecture)
    checkpoint.check_config(content, where)
    description.check_known(content, where)
    try:
        config = AutoConfig.for_model(content.pop("model_type"), **content)
    except (ValueError, TypeError, AttributeError, KeyError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{where} cannot be built ({reason}); correct the architecture.") from None
    config.bos_token_id, config.eos_token_id = tokenizers.BEGIN_ID, tokenizers.END_ID
    config.pad_token_id = tokenizers.PAD_ID
    config.dtype = getattr(torch, dtype)
    return config


def shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter in the checkpoint's order; tied ones once. Allocates nothing."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def _shards(sizes: dict[str, tuple[int, ...]], size: int) -> Iterator[list[str]]:
    shard: list[str] = []
    held = 0
    for name, dimensions in sizes.items():
        wanted = math.prod(dimensions) * size
        if shard and held + wanted > _SHARD_BYTES:
            yield shard
            shard, held = [], 0
        shard.append(name)
        held += wanted
    yield shard


def _write_weights(
    sizes: dict[str, tuple[int, ...]], dtype: str, seed: int, deviation: float, threads: int, output: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)  # the threads below are the parallelism
    size = getattr(torch, dtype).itemsize
    shards = list(_shards(sizes, size))
    total = sum(map(math.prod, sizes.values()))
    where: dict[str, str] = {}
    with (
        tqdm(total=total, desc="drawing weights", unit="par", unit_scale=True, mininterval=1.0) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        for number, names in enumerate(shards, 1):
            file = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
            tensors = {name: torch.empty(sizes[name], dtype=getattr(torch, dtype)) for name in names}
            jobs = [job for name in names for job in _jobs(name, tensors[name], seed, deviation)]
            for drawn in pool.map(lambda job: _draw(*job), jobs):
                bar.update(drawn)
            save_file(tensors, output / file, metadata={"format": "pt"})
            where |= dict.fromkeys(names, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total * size}, "weight_map": where}
        files.write_text(output / "model.safetensors.index.json", json.dumps(index, indent=2) + "\n")


def _jobs(name: str, tensor: Any, seed: int, deviation: float) -> Iterator[tuple[Any, int, float, float]]:
    """Yield (part of the tensor, seed of this part, mean, standard deviation) for each chunk of a tensor."""
    mean, spread = 0.0, deviation
    if name.endswith(".bias"):
        spread = 0.0
    elif tensor.ndim == 1:
        mean, spread = 1.0, 0.0  # the scale of a norm
    flat = tensor.view(-1)
    for number, begin in enumerate(range(0, flat.numel(), _CHUNK)):
        digest = hashlib.sha256(f"{seed}/{name}/{number}".encode()).digest()
        yield flat[begin : begin + _CHUNK], int.from_bytes(digest[:8], "little") >> 1, mean, spread


def _draw(part: Any, seed: int, mean: float, spread: float) -> int:
    """Fill a part of a tensor and return how many parameters that was. Drawn in float32, then rounded."""
    import torch

    if spread == 0.0:
        part.fill_(mean)
    else:
        scratch = torch.empty(part.numel())
        scratch.normal_(mean, spread, generator=torch.Generator().manual_seed(seed))
        part.copy_(scratch)
    return part.numel()

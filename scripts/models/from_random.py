"""Source ``random``: an architecture with random weights. Its speed and memory are real; its text means nothing."""

import hashlib
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, from_path, saving
from scripts.models import settings as model_settings
from scripts.models import tokenizer as tokenizers
from scripts.models.settings import ModelSettings, RandomSettings

# What one thread draws at a time, in parameters: the float32 scratch of a thread is four times this in bytes.
_CHUNK = 1 << 23
# A shard is drawn whole before it is written, so this bounds the memory (a larger single tensor gets its own shard).
_SHARD_BYTES = 2_000_000_000


def prepare(name: str, settings: ModelSettings, train: Path, prompt: str, threads: int, output: Path) -> dict[str, Any]:
    """Draw a model's weights into ``output`` and return its manifest. The result does not depend on ``threads``.

    Raises:
        StudyError: an architecture that cannot be built.
    """
    options = settings.options
    assert isinstance(options, RandomSettings)
    model_settings.check_random(name, options)
    tokenizers.check_prompt(prompt)
    vocabulary = model_settings.random_vocabulary(name, options)
    tokenizer = tokenizers.train(files.read_json_lines(train), prompt, vocabulary)
    config = _config(name, options, settings.dtype)
    deviation = float(getattr(config, "initializer_range", None) or 0.02)
    _write_weights(shapes(config), settings.dtype, settings.seed, deviation, threads, output)
    config.save_pretrained(output)
    saving.save_generation_config(output)
    tokenizers.save(tokenizer, output, config.max_position_embeddings)
    return {
        "source": "random",
        "path": ".",
        "parameters": checkpoint.parameters(output),
        "dtype": settings.dtype,
        "architecture": checkpoint.basics(checkpoint.read_config(output)),
        "tokenizer_digest": checkpoint.file_digest(output / "tokenizer.json"),
        "weights_digest": checkpoint.weights_digest(output),
        "seed": settings.seed,
        "random": {
            "distribution": "normal, mean 0; norms are 1 and biases 0",
            "standard_deviation": deviation,
            "tokenizer_vocabulary": tokenizer.get_vocab_size(),
        },
    }


def _config(name: str, options: RandomSettings, dtype: str) -> Any:
    """Return the architecture's transformers config, with the special tokens of the tokenizer made here."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    content = dict(model_settings.architecture(name, options))
    where = f"models.{name}.random.architecture"
    checkpoint.check_config(content, where)
    from_path.check_known(content, where)
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
    for name, shape in sizes.items():
        wanted = count(shape) * size
        if shard and held + wanted > _SHARD_BYTES:
            yield shard
            shard, held = [], 0
        shard.append(name)
        held += wanted
    yield shard


def count(shape: tuple[int, ...]) -> int:
    """Return how many parameters a tensor of this shape holds."""
    return math.prod(shape)


def _write_weights(
    sizes: dict[str, tuple[int, ...]], dtype: str, seed: int, deviation: float, threads: int, output: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)  # the threads below are the parallelism
    size = getattr(torch, dtype).itemsize
    shards = list(_shards(sizes, size))
    total = sum(map(count, sizes.values()))
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

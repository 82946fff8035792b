"""Training a Llama from scratch to write headlines, on the CPU or on a GPU.

First some steps of copying random sequences, which teach attention to find a token's earlier occurrence and take what
followed it (induction, https://arxiv.org/abs/2209.11895): without them the model learns the phrasing of headlines and
not the names in them. Then headlines, with the loss only on the headline and its end token.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from scripts.models import batches

if TYPE_CHECKING:
    from scripts.models.sources.train import Settings

_WARM_UP_STEPS = 20
_COPY_LAYERS = 2
_MUON_RATE = 3.0  # Muon's learning rate as a multiple of AdamW's
_FINAL_SHARE = 0.05  # of the peak learning rate, at the last step
_CURVE_POINTS = 50
_COPY_LENGTHS = (6, 24)
_HELD_OUT = 256


@dataclass(frozen=True)
class Trained:
    """A trained model and the figures of its training."""

    model: Any
    figures: dict[str, Any]


def config(settings: "Settings", vocabulary: int, max_positions: int) -> Any:
    """Return the ``LlamaConfig`` of these settings, with as many rows of embeddings as the tokenizer has entries."""
    from transformers import LlamaConfig

    from scripts.models import tokenizer

    sizes = settings.config_json() | {"vocab_size": vocabulary, "max_position_embeddings": max_positions}
    del sizes["model_type"]
    return LlamaConfig(
        **sizes,
        bos_token_id=tokenizer.BEGIN_ID,
        eos_token_id=tokenizer.END_ID,
        pad_token_id=tokenizer.PAD_ID,
    )


def train(
    settings: "Settings", sequences: batches.Sequences, model_config: Any, seed: int, device: str = "cpu"
) -> Trained:
    """Train a model on ``device``, ``cpu`` or ``cuda``; it comes back on the CPU.

    On a CPU the same arguments and number of threads give the same weights, bit for bit. A GPU starts from the same
    weights and takes the same batches in the same order, but sums in a different order, so that two
    trainings differ by rounding.
    """
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = LlamaForCausalLM(model_config).to(device)
    held_out = max(1, min(_HELD_OUT, len(sequences.ids) // 10))
    rows, validation = batches.split(sequences, held_out)
    optimizers = _optimizers(model, settings.learning_rate)
    total = settings.copy_steps + settings.steps
    every = max(1, total // _CURVE_POINTS)
    curve: list[dict[str, Any]] = []
    recent: list[float] = []
    started = time.monotonic()
    model.train()
    with tqdm(total=total, desc="training", unit="step", mininterval=1.0) as bar:
        for step, (phase, loss) in enumerate(_losses(model, settings, rows, model_config.vocab_size, generator), 1):
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, rate in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate * _schedule(step - 1, settings)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            recent.append(loss.item())
            bar.set_postfix(phase=phase, loss=f"{recent[-1]:.3f}", refresh=False)
            bar.update()
            if step % every == 0 or step in (settings.copy_steps, total):
                curve.append({"step": step, "phase": phase, "loss": sum(recent) / len(recent)})
                recent.clear()
    seconds = time.monotonic() - started
    loss, accuracy = evaluate(model, validation)
    model.to("cpu")
    figures = {
        "rows": len(rows.ids),
        "validation_rows": len(validation.ids),
        "validation_loss": loss,
        "validation_token_accuracy": accuracy,
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "products": "bfloat16" if _is_mixed(device) else "float32",
        "curve": curve,
    }
    return Trained(model=model, figures=figures)


def _is_mixed(device: str) -> bool:
    import torch

    return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def _precision(device: str) -> contextlib.AbstractContextManager[Any]:
    """Products in bfloat16 over float32 weights where a GPU has units for them; elsewhere all in float32."""
    import torch

    return torch.autocast("cuda", dtype=torch.bfloat16) if _is_mixed(device) else contextlib.nullcontext()


def evaluate(model: Any, sequences: batches.Sequences) -> tuple[float, float]:
    """Return the mean loss (nats a token) and the share of tokens predicted right, over headlines and their ends."""
    import torch

    loss, right, count = 0.0, 0, 0
    order = sorted(range(len(sequences.ids)), key=lambda index: len(sequences.ids[index]))
    model.eval()
    with torch.inference_mode():
        for begin in range(0, len(order), 32):
            inputs, targets = batches.collate(sequences, order[begin : begin + 32])
            logits, wanted = _logits(model, sequences.prefix, inputs, targets)
            loss += torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum").item()
            right += (logits.argmax(-1) == wanted).sum().item()
            count += wanted.numel()
    return loss / count, right / count


def _losses(
    model: Any, settings: "Settings", rows: batches.Sequences, vocabulary: int, generator: Any
) -> Iterator[tuple[str, Any]]:
    import torch

    layers = model.model.layers
    for layer in layers[_COPY_LAYERS:]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    model.model.layers = layers[:_COPY_LAYERS]
    for _ in range(settings.copy_steps):
        length = int(torch.randint(_COPY_LENGTHS[0], _COPY_LENGTHS[1] + 1, (), generator=generator))
        inputs, targets = batches.copying(settings.batch, length, vocabulary, generator)
        yield "copying", _loss(model, [], inputs, targets)
    model.model.layers = layers
    source = batches.bucketed(rows, settings.batch, generator)
    for _ in range(settings.steps):
        inputs, targets = batches.collate(rows, next(source))
        yield "headlines", _loss(model, rows.prefix, inputs, targets)


def _loss(model: Any, prefix: list[int], inputs: Any, targets: Any) -> Any:
    import torch

    logits, wanted = _logits(model, prefix, inputs, targets)
    return torch.nn.functional.cross_entropy(logits.float(), wanted)


def _logits(model: Any, prefix: list[int], inputs: Any, targets: Any) -> tuple[Any, Any]:
    """As ``headline_logits``, on the model's device and in its precision."""
    with _precision(model.device.type):
        return headline_logits(model, prefix, inputs.to(model.device), targets.to(model.device))


def headline_logits(model: Any, prefix: list[int], inputs: Any, targets: Any) -> tuple[Any, Any]:
    """Return logits [N, vocabulary] and token ids [N] of the N targets that count.

    The prefix, shared by all rows, is computed for one row and its keys and values repeated: gradients flow back
    through the repetition, so this is exact. Only the N positions go through the output layer.
    """
    import torch
    from transformers import DynamicCache

    cache = None
    if prefix:
        cache = DynamicCache(config=model.config)
        model.model(torch.tensor([prefix], device=inputs.device), past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(inputs))
    hidden = model.model(inputs, past_key_values=cache, use_cache=cache is not None).last_hidden_state  # [B, T, H]
    chosen = targets != batches.IGNORED  # [B, T]
    return model.lm_head(hidden[chosen]), targets[chosen]


def _optimizers(model: Any, learning_rate: float) -> list[tuple[Any, float]]:
    """Return each optimiser with its peak learning rate."""
    import torch

    matrices = [parameter for parameter in model.model.layers.parameters() if parameter.ndim == 2]
    inside = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    muon_rate = _MUON_RATE * learning_rate
    return [
        (torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.0), muon_rate),
        (torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True), learning_rate),
    ]


def _schedule(step: int, settings: "Settings") -> float:
    """Return the share of the peak learning rate: a linear warm-up, level while copying, then half a cosine down."""
    if step < settings.copy_steps:
        return min(1.0, (step + 1) / _WARM_UP_STEPS)
    progress = (step - settings.copy_steps) / settings.steps
    warm_up = 1.0 if settings.copy_steps else min(1.0, (step + 1) / _WARM_UP_STEPS)
    return warm_up * (_FINAL_SHARE + (1 - _FINAL_SHARE) * (1 + math.cos(math.pi * progress)) / 2)

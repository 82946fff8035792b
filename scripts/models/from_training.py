"""Source ``train``: a model trained from scratch on the study's training rows."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.models import batches, checkpoint, device, saving, training
from scripts.models import tokenizer as tokenizers
from scripts.models.settings import ModelSettings, TrainSettings, check_train

# Room for a prompt of 100 words, few-shot examples and a headline.
_MAX_POSITIONS = 2048


def prepare(
    name: str, settings: ModelSettings, train: Path, prompt: str, output: Path, place: str = "cpu"
) -> dict[str, Any]:
    """Train a model into ``output`` and return its manifest; ``place`` is ``auto``, ``cpu`` or ``cuda``.

    Raises:
        StudyError: settings that do not fit, too few training rows, or no GPU where one is asked for.
    """
    import torch

    options = settings.options
    assert isinstance(options, TrainSettings)
    check_train(name, options)
    tokenizers.check_prompt(prompt)
    torch.set_num_threads(options.threads)
    rows = files.read_json_lines(train)
    tokenizer = tokenizers.train(rows, prompt, options.vocabulary)
    sequences = batches.encode(rows[: options.max_rows], prompt, tokenizer)
    config = training.config(options, tokenizer.get_vocab_size(), _MAX_POSITIONS)
    with device.leased(place) as found:
        trained = training.train(options, sequences, config, settings.seed, found)
    saving.save_model(trained.model, settings.dtype, output)
    tokenizers.save(tokenizer, output, _MAX_POSITIONS)
    saved = checkpoint.read_config(output)
    return {
        "source": "train",
        "path": ".",
        "parameters": checkpoint.parameters(output),
        "dtype": settings.dtype,
        "architecture": checkpoint.basics(saved),
        "tokenizer_digest": checkpoint.file_digest(output / "tokenizer.json"),
        "weights_digest": checkpoint.weights_digest(output),
        "seed": settings.seed,
        "prompt": prompt,
        "training": {"settings": asdict(options), **trained.figures},
    }

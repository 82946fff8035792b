"""Checks a checkpoint directory and describes it for the manifest."""

from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, packed_contents, special_tokens
from scripts.models.packed import forms
from scripts.models.source import WRITER


def of_checkpoint(directory: Path, dtype: str, kind: str = WRITER) -> dict[str, Any]:
    """Check a checkpoint directory and return its manifest entries.

    Raises:
        StudyError: something is missing, or transformers does not know the architecture.
    """
    config = checkpoint.check(directory, kind)
    check_known(config, str(directory / "config.json"), kind)
    tokenizer = checkpoint.tokenizer_file(directory)
    assert tokenizer is not None  # noqa: S101
    form = forms.of_config(config)
    counted = (
        packed_contents.describe(directory, form, dtype) if form else {"parameters": checkpoint.parameters(directory)}
    )
    if kind == WRITER:
        special_tokens.check(directory, config, checkpoint.read_generation_config(directory))
    return {
        "path": str(directory.resolve()),
        "dtype": dtype,
        **counted,
        "architecture": checkpoint.basics(config),
        "tokenizer_digest": files.sha256(tokenizer),
        "config_digest": checkpoint.small_files_digest(directory),
        "weights_digest": checkpoint.weights_digest(directory),
    }


def check_known(config: dict[str, Any], where: str, kind: str = WRITER) -> None:
    """Check that transformers itself has this architecture: as a causal language model, or at all for an encoder.

    Raises:
        StudyError: it lacks it; code that comes with a checkpoint is never run.
    """
    from transformers.models.auto import modeling_auto

    known = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if kind == WRITER else modeling_auto.MODEL_MAPPING_NAMES
    what = "causal language model" if kind == WRITER else "model"
    found = config["model_type"]
    if found not in known:
        no_such = "no such causal model" if kind == WRITER else "no such model"
        hint = "code that comes with a checkpoint is not run" if config.get("auto_map") else no_such
        raise StudyError(
            f"{where}: the installed transformers has no {what} of type {found!r} ({hint}); "
            "choose a model that it knows, or install a version that does."
        )

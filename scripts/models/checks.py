"""What the workflow checks and keys on when it is parsed. Imports neither torch nor transformers."""

import hashlib
import json
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.models import checkpoint
from scripts.models import settings as model_settings


def check(name: str, settings: dict[str, Any]) -> None:
    """Check the settings of model ``name`` as far as that goes without loading or downloading anything.

    Raises:
        StudyError: an unknown or missing key, sizes that do not fit together, a revision that is not a commit, or a
            directory or architecture file that is missing or incomplete.
    """
    read = model_settings.read(name, settings)
    options = read.options
    if isinstance(options, model_settings.TrainSettings):
        model_settings.check_train(name, options)
    elif isinstance(options, model_settings.HubSettings):
        model_settings.check_hub(name, options)
    elif isinstance(options, model_settings.PathSettings):
        with _naming(f"models.{name}.path.path"):
            checkpoint.check(Path(options.path))
    else:
        model_settings.check_random(name, options)


def fingerprint(settings: dict[str, Any]) -> str:
    """Return a digest of what a model's settings refer to outside themselves: a directory or a file.

    It depends on content alone: touched, moved or copied files give the same value. The empty string when the
    settings say everything (train, hub, an architecture given inline).

    Raises:
        StudyError: the directory or the file cannot be read.
    """
    read = model_settings.read("model", settings)
    if isinstance(read.options, model_settings.PathSettings):
        directory = Path(read.options.path)
        checkpoint.check(directory)
        parts = checkpoint.small_files_digest(directory), checkpoint.weights_digest(directory)
        return hashlib.sha256("".join(parts).encode()).hexdigest()
    if isinstance(read.options, model_settings.RandomSettings) and isinstance(read.options.architecture, str):
        content = model_settings.architecture("model", read.options)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return ""


def tokenizer_identity(settings: dict[str, Any]) -> str | None:
    """Return a value that is equal for two models of one study that will share a tokenizer.

    None when it cannot be known before a download (hub).

    Raises:
        StudyError: a directory has no tokenizer, or an architecture file cannot be read.
    """
    read = model_settings.read("model", settings)
    options = read.options
    if isinstance(options, model_settings.TrainSettings):
        return f"trained:{options.vocabulary}"
    if isinstance(options, model_settings.RandomSettings):
        return f"trained:{model_settings.random_vocabulary('model', options)}"
    if isinstance(options, model_settings.PathSettings):
        return checkpoint.tokenizer_identity(Path(options.path))
    return None


class _naming:
    """Put the configuration's key in front of an error's sentence."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StudyError):
            raise StudyError(f"{self._key}: {error}") from None

"""Source ``path``: a local checkpoint directory, used in place."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.foundation import paths
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, description
from scripts.models.source import WRITER, Job, Source


@dataclass(frozen=True)
class Settings(Source):
    """A local checkpoint directory."""

    path: str

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check that the directory holds a checkpoint of this kind."""
        paths.check_directory(f"{key}.path.path", self.path)
        with _naming(key):
            checkpoint.check(Path(self.path), kind)

    def fingerprint(self) -> str:
        """Digest of the checkpoint's files."""
        directory = Path(self.path)
        parts = checkpoint.small_files_digest(directory), checkpoint.weights_digest(directory)
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def tokenizer_identity(self) -> str | None:
        """Digest of the checkpoint's vocabulary."""
        return checkpoint.tokenizer_identity(Path(self.path))

    def config_json(self) -> dict[str, Any]:
        """That of the checkpoint."""
        return checkpoint.read_object(Path(self.path) / "config.json", "", "restore it")

    def prepare(self, job: Job) -> dict[str, Any]:
        """Check the checkpoint and return a manifest that refers to it."""
        with _naming(job.key):
            return description.of_checkpoint(Path(self.path), job.dtype, job.kind)


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """Put the option's key in front of an error's sentence."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{key}.path.path: {error}") from None

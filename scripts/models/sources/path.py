"""Source ``path``: a local checkpoint directory, used in place, or a GGUF file, made a checkpoint of."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.foundation import paths
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, description, gguf_model
from scripts.models.source import WRITER, Job, Source


@dataclass(frozen=True)
class Settings(Source):
    """A local checkpoint directory, a GGUF file, or a folder with one."""

    path: str  # of a directory, or of a .gguf file

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check that the directory holds a checkpoint of this kind, or the file a model."""
        if gguf_model.named(Path(self.path)) and paths.directory_problem(self.path):
            paths.check_file(f"{key}.path.path", self.path)
        else:
            paths.check_directory(f"{key}.path.path", self.path)
        with _naming(key):
            file = self._gguf()
            if file is not None:
                gguf_model.check(file, kind)
            else:
                checkpoint.check(Path(self.path), kind)

    def fingerprint(self) -> str:
        """Digest of the checkpoint's files."""
        file = self._gguf()
        if file is not None:
            return gguf_model.digest(file)
        directory = Path(self.path)
        parts = checkpoint.small_files_digest(directory), checkpoint.weights_digest(directory)
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def tokenizer_identity(self) -> str | None:
        """Digest of the checkpoint's vocabulary; that of a GGUF file is known once its checkpoint is made."""
        return None if self._gguf() else checkpoint.tokenizer_identity(Path(self.path))

    def has_chat_template(self) -> bool | None:
        """Whether the checkpoint's tokenizer has one; not known of a GGUF file."""
        return None if self._gguf() else checkpoint.has_chat_template(Path(self.path))

    def config_json(self) -> dict[str, Any] | None:
        """That of the checkpoint; what the header of a GGUF file says of it."""
        file = self._gguf()
        if file is not None:
            return gguf_model.config_json(file)
        return checkpoint.read_object(Path(self.path) / "config.json", "", "restore it")

    def makes_weights(self) -> bool:
        """Of a GGUF file."""
        return self._gguf() is not None

    def prepare(self, job: Job) -> dict[str, Any]:
        """Check the checkpoint and return a manifest that refers to it, or make one of a GGUF file."""
        with _naming(job.key):
            file = self._gguf()
            if file is not None:
                return gguf_model.make(file, job)
            return description.of_checkpoint(Path(self.path), job.dtype, job.kind)

    def _gguf(self) -> Path | None:
        """The GGUF file that the path names, or its folder holds; None of an ordinary checkpoint."""
        path = Path(self.path)
        return path if gguf_model.named(path) and path.is_file() else gguf_model.only_one(path)


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """Put the option's key in front of an error's sentence."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{key}.path.path: {error}") from None

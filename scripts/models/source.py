"""The interface of a model source: its options, and what the workflow and the stage call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

WRITER, ENCODER = "writer", "encoder"  # generates headlines, or encodes texts for semantic scores


@dataclass(frozen=True)
class Job:
    """Inputs and output of preparing a model.

    Attributes:
        key: the model's place in the study, for messages, such as ``models.small``.
        dtype: of the weights.
        seed: of training or of random weights.
        output: the folder that the model's files go to.
        rows: the training rows, one JSON object a line; None where the source needs none.
        prompt: the prompt template.
        threads: CPU threads that may be used where their number changes no weight.
        kind: ``WRITER`` or ``ENCODER``.
        device: gives ``cuda``, with one GPU to itself, or ``cpu`` for the length of a block.
    """

    key: str
    dtype: str
    seed: int
    output: Path
    rows: Path | None = None
    prompt: str = ""
    threads: int = 1
    kind: str = WRITER
    device: Callable[[], AbstractContextManager[str]] | None = None


@dataclass(frozen=True)
class Source:
    """Base of a source's ``Settings``, whose fields are the source's options; one without a default must be given.

    All but ``prepare`` is called while the workflow is parsed and must not import heavy libraries.
    """

    default_dtype: ClassVar[str] = "float32"
    training_rows: ClassVar[int] = 0  # minimum number of training rows
    random_weights: ClassVar[bool] = False  # whether generated text is meaningless
    uses_gpu: ClassVar[bool] = False  # whether preparing a model takes a GPU where techniques run on GPUs

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check the options without loading or downloading anything.

        Raises:
            StudyError: one sentence that begins with the option's place, such as ``models.small.hub.id``.
        """

    def fingerprint(self) -> str:
        """Digest of the files that the options refer to; empty if there are none.

        It depends on content alone: touched, moved or copied files give the same value.

        Raises:
            StudyError: a file can't be read.
        """
        return ""

    def tokenizer_identity(self) -> str | None:
        """A value that is equal for models of a study that share a tokenizer; None if not yet known.

        Raises:
            StudyError: a file can't be read.
        """
        return None

    def has_chat_template(self) -> bool | None:
        """Whether the model's tokenizer has a chat template; None if not yet known.

        Raises:
            StudyError: a file can't be read.
        """
        return None

    def config_json(self) -> dict[str, Any] | None:
        """Content of the model's ``config.json``, as far as it is known before the model is here; None if it is not.

        Raises:
            StudyError: a file can't be read.
        """
        return None

    def obstacle(self, key: str) -> str | None:
        """Why the model can't be had here, in a sentence with what to do; None where nothing is seen in its way.

        Downloads nothing, but may ask a hub, which takes seconds at most. What :meth:`check` finds is not repeated.
        """
        return None

    def bytes_to_fetch(self) -> int | None:
        """Bytes that preparing the model downloads; None if that is not known."""
        return 0

    def makes_weights(self) -> bool:
        """Whether preparing the model writes weights into the results."""
        return self.training_rows > 0

    def cpu_threads(self) -> int | None:
        """CPU threads that preparing a model takes; None for any number."""
        return None

    def prepare(self, job: Job) -> dict[str, Any]:
        """Bring the model into place and return what its manifest says: ``path`` (from the output folder), ``dtype``,
        ``parameters``, ``architecture``, ``tokenizer_digest``, ``weights_digest``, and what else there is to know.

        Raises:
            StudyError: the model can't be made or downloaded.
        """
        raise NotImplementedError

"""Source ``hub``: a repository of a model hub at a pinned commit, in the hub client's ordinary cache."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import hubs
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, description, gguf_model, stored_files
from scripts.models.source import WRITER, Job, Source

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

# Safetensors and text only: no pickle and no code is ever fetched.
_ANSWER_S = 5.0  # how long a hub may take to say whether it has a file
_FIRST = [*stored_files.SMALL_FILES, stored_files.WHOLE, stored_files.INDEX]


@dataclass(frozen=True)
class Settings(Source):
    """A repository of a model hub at a pinned commit."""

    id: str
    revision: str
    file: str = ""  # a GGUF file of it, in place of a checkpoint

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check that the id is a hub's and the revision a full commit."""
        hubs.check_id(f"{key}.hub.id", self.id)
        if not isinstance(self.revision, str) or not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise StudyError(
                f"{key}.hub.revision is {self.revision!r}; give the full 40-digit commit, which the repository's page "
                "shows under its files' history, so that the study always gets the same weights."
            )

        if self.file and (not re.fullmatch(r"[\w.-]+(/[\w.-]+)*\.gguf", self.file, re.ASCII) or ".." in self.file):
            raise StudyError(
                f"{key}.hub.file is {self.file[:80]!r}; name a .gguf file of the repository, or leave it out for a "
                "checkpoint in safetensors."
            )
        if self.file and kind != WRITER:
            raise StudyError(
                f"{key}.hub.file names a GGUF file, and an encoder is read from safetensors; leave it out."
            )
        if self.file:
            gguf_model.check_reader(f"{key}.hub.file: {self.file}")

    def config_json(self) -> dict[str, Any] | None:
        """That of the snapshot in the cache; None where there is none yet."""
        from huggingface_hub import try_to_load_from_cache

        if self.file:
            file = self._cached()
            return gguf_model.config_json(file) if file else None

        found = try_to_load_from_cache(self.id, "config.json", revision=self.revision)
        return checkpoint.read_object(Path(found), "", "fetch it again") if isinstance(found, str) else None

    def has_chat_template(self) -> bool | None:
        """Whether the tokenizer of the snapshot in the cache has one; None where there is none yet."""
        directory = None if self.file else self._cached()
        return None if directory is None else checkpoint.has_chat_template(directory)

    def obstacle(self, key: str) -> str | None:
        """That the hub does not give it, or can't be reached while the cache is incomplete."""
        if self._cached() is not None:
            return None
        try:
            _ask(f"{key}.hub: {self.id}", self, self.file or "config.json")
        except StudyError as error:
            return str(error)
        return None

    def makes_weights(self) -> bool:
        """Of a GGUF file."""
        return bool(self.file)

    def bytes_to_fetch(self) -> int | None:
        """None of a snapshot in the cache."""
        return 0 if self._cached() is not None else None

    def _cached(self) -> Path | None:
        """The snapshot, if all of its weights are in the cache, or the GGUF file."""
        from huggingface_hub import try_to_load_from_cache

        if self.file:
            found = try_to_load_from_cache(self.id, self.file, revision=self.revision)
            return Path(found) if isinstance(found, str) else None

        found = try_to_load_from_cache(self.id, "config.json", revision=self.revision)
        if not isinstance(found, str):
            return None
        directory = Path(found).parent
        whole = (directory / stored_files.WHOLE).is_file()
        shards = [] if whole else stored_files.shard_names(directory)
        complete = whole or (shards and all((directory / shard).is_file() for shard in shards))
        return directory if complete else None

    def prepare(self, job: Job) -> dict[str, Any]:
        """Fetch the snapshot, or find it in the cache, and return a manifest that refers to it."""
        where = f"{job.key}.hub: {self.id}"
        if self.file:
            return self._made_of_file(where, job)
        directory = fetch(where, self)
        if not (directory / "config.json").is_file():
            raise StudyError(f"{where} has no config.json at {self.revision}; name a transformers model.")
        if not checkpoint.weight_files(directory):
            raise StudyError(
                f"{where} has no safetensors weights at {self.revision}, and pickled ones are never loaded; "
                "choose a commit or a repository that has model.safetensors."
            )
        try:
            described = description.of_checkpoint(directory, job.dtype, job.kind)
        except StudyError as error:
            raise StudyError(f"{where}: {error}") from None
        return {"repository": self.id, "revision": self.revision, **described}

    def _made_of_file(self, where: str, job: Job) -> dict[str, Any]:
        """Fetch the GGUF file and make a checkpoint of it."""
        from huggingface_hub import errors, hf_hub_download

        with _in_words(where, self):
            try:
                file = Path(hf_hub_download(self.id, self.file, revision=self.revision))
            except errors.LocalEntryNotFoundError:
                raise
            except errors.EntryNotFoundError:
                raise StudyError(
                    f"{where} has no file {self.file} at {self.revision}; copy its name from the repository's files."
                ) from None
        try:
            made = gguf_model.make(file, job)
        except StudyError as error:
            raise StudyError(f"{where}: {error}") from None
        return {"repository": self.id, "revision": self.revision, **made}


def fetch(where: str, options: Settings) -> Path:
    """Return the snapshot's directory, downloading what the cache lacks.

    Raises:
        StudyError: the hub refuses, does not have it, or cannot be reached while the cache is incomplete.
    """
    with _in_words(where, options):
        directory = _download(options, _FIRST)
        shards = [] if (directory / stored_files.WHOLE).is_file() else stored_files.shard_names(directory)
        return _download(options, [*_FIRST, *shards]) if shards else directory


def _ask(where: str, options: Settings, file: str) -> None:
    """Ask the hub for the head of a file.

    Raises:
        StudyError: it refuses, does not have it, or cannot be reached.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import httpx  # its HTTP client, under whatever name it is installed

    with _in_words(where, options):
        try:
            url = hf_hub_url(options.id, file, revision=options.revision)
            get_hf_file_metadata(url, timeout=_ANSWER_S)
        except (errors.OfflineModeIsEnabled, httpx.TransportError) as error:
            raise errors.LocalEntryNotFoundError(str(error)) from None


@contextlib.contextmanager
def _in_words(where: str, options: Settings) -> Iterator[None]:
    """Say an error of the hub's in a sentence."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise StudyError(
            f"{where} is gated; accept its licence on its page ({_endpoint()}/{options.id}) and set HF_TOKEN to a "
            "token of that account."
        ) from None
    except errors.RevisionNotFoundError:
        raise StudyError(f"{where} has no commit {options.revision}; copy it from the repository's history.") from None
    except errors.RepositoryNotFoundError:
        raise StudyError(
            f"{where} was not found on {_endpoint()}; check the id, and set HF_TOKEN if the repository is private."
        ) from None
    except errors.LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, errors.HfHubHTTPError):  # it was reached, but gave no list of files
            raise _refused(where, error.__cause__) from None
        raise StudyError(
            f"{where} is not complete in the cache and {_endpoint()} cannot be reached; connect to the network "
            "(and unset HF_HUB_OFFLINE) and run again."
        ) from None
    except errors.HfHubHTTPError as error:
        raise _refused(where, error) from None


def _download(options: Settings, wanted: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    # Patterns match across slashes: copies for other runtimes in folders would come along.
    unwanted = ["*/*/*", "[!a]*/*", "a[!d]*/*", "ad[!d]*/*"]
    found = snapshot_download(options.id, revision=options.revision, allow_patterns=wanted, ignore_patterns=unwanted)
    return Path(found)


def _refused(where: str, error: "HfHubHTTPError") -> StudyError:
    status = error.response.status_code
    if status in (401, 403):
        return StudyError(
            f"{where} is refused by {_endpoint()} (status {status}); set HF_TOKEN to a valid token of an account that "
            "may read it."
        )
    return StudyError(f"{where}: {_endpoint()} answered with status {status}; try again later.")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")

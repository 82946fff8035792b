"""Source ``hub``: a repository of a model hub at a pinned commit, in the hub client's ordinary cache."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import hubs
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint, description, stored_files
from scripts.models.source import WRITER, Job, Source

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

# Safetensors and text only: no pickle and no code is ever fetched.
_FIRST = [*stored_files.SMALL_FILES, stored_files.WHOLE, stored_files.INDEX]


@dataclass(frozen=True)
class Settings(Source):
    """A repository of a model hub at a pinned commit."""

    id: str
    revision: str

    def check(self, key: str, kind: str = WRITER) -> None:
        """Check that the id is a hub's and the revision a full commit."""
        hubs.check_id(f"{key}.hub.id", self.id)
        if not isinstance(self.revision, str) or not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise StudyError(
                f"{key}.hub.revision is {self.revision!r}; give the full 40-digit commit, which the repository's page "
                "shows under its files' history, so that the study always gets the same weights."
            )

    def prepare(self, job: Job) -> dict[str, Any]:
        """Fetch the snapshot, or find it in the cache, and return a manifest that refers to it."""
        where = f"{job.key}.hub: {self.id}"
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


def fetch(where: str, options: Settings) -> Path:
    """Return the snapshot's directory, downloading what the cache lacks.

    Raises:
        StudyError: the hub refuses, does not have it, or cannot be reached while the cache is incomplete.
    """
    from huggingface_hub import errors

    try:
        directory = _download(options, _FIRST)
        shards = [] if (directory / stored_files.WHOLE).is_file() else stored_files.shard_names(directory)
        return _download(options, [*_FIRST, *shards]) if shards else directory
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

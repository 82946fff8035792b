"""Source ``hub``: a data set of the Hugging Face Hub, at a pinned revision. No code of it is run."""

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from tqdm import tqdm

from scripts.dataset.entries import Columns, Entry, Opened
from scripts.dataset.formats.columns import need_columns
from scripts.dataset.formats.parquet import as_python, keyed, wanted
from scripts.dataset.source import Options, Source
from scripts.foundation import hubs
from scripts.foundation.errors import StudyError

_BATCH_ROWS = 2000
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Settings(Source):
    """A data set of the Hugging Face Hub at a pinned revision."""

    id: str
    revision: str
    config: str | None
    split: str
    columns: Columns

    @classmethod
    def read(cls, options: Options) -> Self:
        """Read the options."""
        return cls(
            options.text("id"),
            options.text("revision"),  # so that the study always reads the same rows
            options.text_or("config", None),
            options.text("split", "train"),
            options.columns(),
        )

    def check(self) -> None:
        """Check that the id is a hub's."""
        hubs.check_id("dataset.hub.id", self.id)
        if "/" not in self.id:
            # A name without an owner could be one of the library's own loaders.
            raise StudyError(f"dataset.hub.id: {self.id!r} must have the form owner/name.")

    def open(self, seed: int) -> Opened:
        """Download the data set, or find it in the cache; it may lack this configuration, split or columns."""
        commit = _commit(self)
        dataset = _load(self, commit)
        name = f"{self.id}@{commit[:12]}"
        need_columns(name, dataset.column_names, self.columns)
        origin = {"repository": self.id, "revision": commit, "config": self.config, "split": self.split}
        return Opened(name, _entries(dataset, self.columns), origin, "row", self.columns)


def _entries(dataset: Any, columns: Columns) -> Iterator[Entry]:
    table = dataset.select_columns(wanted(columns, dataset.column_names)).with_format("arrow")
    position = 0
    with tqdm(total=dataset.num_rows, unit="row", desc="reading", mininterval=1) as bar:
        for batch in table.iter(batch_size=_BATCH_ROWS):
            names = batch.column_names
            keys = keyed(columns, dataset.column_names, names)
            for row in zip(*(as_python(batch.column(each)) for each in names), strict=True):
                position += 1
                yield Entry(position, dict(zip(keys, row, strict=True)))
            bar.update(batch.num_rows)


def _commit(settings: Settings) -> str:
    """Return the full commit hash of the revision.

    The hub is asked even for a full hash, since its own answer says best what is wrong. Without a network a full hash
    stands for itself, so that a data set that was fetched before can be read.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # its HTTP client, under whatever name it is installed

    try:
        return HfApi().dataset_info(settings.id, revision=settings.revision).sha
    except (OfflineModeIsEnabled, httpx.TransportError) as error:
        if not _COMMIT.fullmatch(settings.revision):
            _unreachable(settings, error)
        return settings.revision
    except (HfHubHTTPError, HFValidationError) as error:
        _refused(settings, error)


def _load(settings: Settings, commit: str) -> Any:
    """Download, prepare and return the split as a ``datasets.Dataset``."""
    from datasets import exceptions, load_dataset_builder
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    try:
        builder = load_dataset_builder(settings.id, settings.config, revision=commit)
        if builder.hash != commit:
            # Where it can't reach the hub the library takes whatever version of the data set it has.
            _unreachable(settings, f"and revision {commit} is not in the cache")
        builder.download_and_prepare()
        return builder.as_dataset(split=settings.split)
    except (ConnectionError, OfflineModeIsEnabled, httpx.TransportError) as error:
        _unreachable(settings, error)
    except ValueError as error:
        _not_offered(settings, error)
    except (exceptions.DatasetNotFoundError, HfHubHTTPError) as error:
        _refused(settings, error)
    except (exceptions.DatasetsError, RuntimeError, FileNotFoundError) as error:
        # The library wraps whatever happens while it writes its cache.
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise cause from None
            cause = cause.__cause__
        raise StudyError(
            f"dataset.hub: {settings.id} can't be read ({_first_line(error)}); choose a data set that the datasets "
            "library reads without code of its own, or download it and use source: file."
        ) from None


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _unreachable(settings: Settings, error: object) -> NoReturn:
    raise StudyError(
        f"dataset.hub: the hub can't be reached for {settings.id} ({_first_line(error)}); check the network, "
        "HF_ENDPOINT and HF_HUB_OFFLINE, or download the data set and use source: file."
    ) from None


def _refused(settings: Settings, error: BaseException) -> NoReturn:
    """Say why the hub gave an error, by its kind."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    # The datasets library turns the hub's error for a gated repository into its own, and drops the cause.
    if isinstance(error, GatedRepoError) or "gated dataset" in str(error):
        text = (
            f"dataset.hub.id: {settings.id} is gated; accept its terms on its page on the hub and log in with "
            "`hf auth login` or set HF_TOKEN."
        )
    elif isinstance(error, RevisionNotFoundError):
        text = (
            f"dataset.hub.revision: {settings.id} has no revision {settings.revision!r}; set one of its commit hashes."
        )
    elif isinstance(error, RepositoryNotFoundError):
        text = (
            f"dataset.hub.id: {settings.id} does not exist on the hub, or is private; check the name, or log in with "
            "`hf auth login` or set HF_TOKEN."
        )
    else:
        text = f"dataset.hub: the hub refused {settings.id} ({_first_line(error)}); try again later."
    raise StudyError(text) from None


def _not_offered(settings: Settings, error: ValueError) -> NoReturn:
    """Say which configuration or split is missing: the library's message lists those that there are."""
    message = " ".join(str(error).split())
    if "Config name is missing" in message:
        text = f"dataset.hub.config: {settings.id} has several configurations; name one ({_offered(message)})."
    elif "BuilderConfig" in message:
        text = (
            f"dataset.hub.config: {settings.id} has no configuration {settings.config!r}; it has {_offered(message)}."
        )
    elif "split" in message.lower():
        text = f"dataset.hub.split: {settings.id} has no split {settings.split!r}; it has {_offered(message)}."
    else:
        text = f"dataset.hub: {settings.id} can't be read ({message[:200]}); check config and split."
    raise StudyError(text) from None


def _offered(message: str) -> str:
    """Take the list out of a message of the library such as ``… Available: ['a', 'b']``."""
    found = re.search(r"\[([^\]]*)\]", message)
    return found.group(1).replace("'", "") if found else message[:200]

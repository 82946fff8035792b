"""The stage's settings: from JSON to checked values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from scripts.dataset.entries import Columns
from scripts.dataset.rows import Bounds, Filters
from scripts.foundation.errors import StudyError

SOURCES = ("newswire", "file", "hub")
#: What becomes of HTML in a text: its text alone is taken, or it stays.
MARKUP = ("text", "keep")


@dataclass(frozen=True)
class NewswireSettings:
    """How many stories to generate."""

    train_rows: int = 24000
    evaluation_rows: int = 1000


@dataclass(frozen=True)
class FileSettings:
    """A file, its encoding, where in a JSON document its rows are, and its columns."""

    path: str
    columns: Columns
    encoding: str = "utf-8"
    rows: str = ""


@dataclass(frozen=True)
class HubSettings:
    """A data set of the Hugging Face Hub at a pinned revision."""

    id: str
    revision: str
    config: str | None
    split: str
    columns: Columns


@dataclass(frozen=True)
class Settings:
    """Everything that decides what the data set holds."""

    source: str
    options: NewswireSettings | FileSettings | HubSettings
    filters: Filters
    evaluation_share: float
    seed: int
    markup: str = "text"

    def as_dict(self) -> dict[str, Any]:
        """Return the settings with all defaults filled in, in the form in which they are given."""
        return {
            "source": self.source,
            self.source: asdict(self.options),
            "filters": self.filters.as_dict(),
            "markup": self.markup,
            "evaluation_share": self.evaluation_share,
            "seed": self.seed,
        }


def parse(text: str) -> Settings:
    """Read the settings; options of other sources than the chosen one are ignored.

    Raises:
        StudyError: they are not JSON, or a value is missing or not allowed; the message names the key.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise StudyError(f"--settings is not valid JSON ({error}); pass one JSON object.") from None
    given = _object(given, "dataset")
    source = given.get("source", "newswire")
    if source not in SOURCES:
        raise StudyError(f"dataset.source: {source!r} is unknown; choose one of {', '.join(SOURCES)}.")
    options = _object(given.get(source), f"dataset.{source}")
    readers = {"newswire": _newswire, "file": _file, "hub": _hub}
    share = given.get("evaluation_share", 0.2)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise StudyError(f"dataset.evaluation_share: {share!r} must be a number above 0 and up to 1.")
    markup = given.get("markup", "text")
    if markup not in MARKUP:
        raise StudyError(f"dataset.markup: {markup!r} is unknown; choose one of {', '.join(MARKUP)}.")
    return Settings(
        source,
        readers[source](options),
        _filters(_object(given.get("filters"), "dataset.filters")),
        float(share),
        _whole(given.get("seed", 0), "dataset.seed", None),
        markup,
    )


def _object(value: Any, key: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise StudyError(f"{key}: {value!r} must be a mapping of keys to values.")
    return value


def _whole(value: Any, key: str, least: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise StudyError(f"{key}: {value!r} must be a whole number{'' if least is None else f' of at least {least}'}.")
    return value


def _text(options: Mapping[str, Any], source: str, key: str, default: str | None = None) -> str:
    value = options.get(key)
    if value is None:
        value = default
    if not isinstance(value, str) or not value.strip():
        raise StudyError(f"dataset.{source}.{key}: a text is needed here and {value!r} is given; set it in the study.")
    return value


def _newswire(options: Mapping[str, Any]) -> NewswireSettings:
    default = NewswireSettings()
    return NewswireSettings(
        _whole(options.get("train_rows", default.train_rows), "dataset.newswire.train_rows", 0),
        _whole(options.get("evaluation_rows", default.evaluation_rows), "dataset.newswire.evaluation_rows", 1),
    )


def _file(options: Mapping[str, Any]) -> FileSettings:
    return FileSettings(
        _text(options, "file", "path"),
        _columns(options, "file"),
        _text(options, "file", "encoding", "utf-8"),
        _text(options, "file", "rows") if options.get("rows") else "",
    )


def _hub(options: Mapping[str, Any]) -> HubSettings:
    if not options.get("revision"):
        raise StudyError(
            "dataset.hub.revision: no revision is given; set the commit hash of the data set, so that the study always "
            "reads the same rows."
        )
    return HubSettings(
        _text(options, "hub", "id"),
        _text(options, "hub", "revision"),
        _text(options, "hub", "config") if options.get("config") else None,
        _text(options, "hub", "split", "train"),
        _columns(options, "hub"),
    )


def _columns(options: Mapping[str, Any], source: str) -> Columns:
    given = _object(options.get("columns"), f"dataset.{source}.columns")
    known = [field.name for field in fields(Columns)]
    for key in given:
        if key not in known:
            raise StudyError(f"dataset.{source}.columns: {key!r} is unknown; map {', '.join(known)}.")
    default = asdict(Columns())
    return Columns(**{key: _text(given, f"{source}.columns", key, default[key]) for key in known})


def _filters(given: Mapping[str, Any]) -> Filters:
    default = Filters()
    return Filters(
        _bounds(given, "summary_words", default.summary_words), _bounds(given, "headline_words", default.headline_words)
    )


def _bounds(given: Mapping[str, Any], name: str, default: Bounds) -> Bounds:
    key = f"dataset.filters.{name}"
    bounds = _object(given.get(name), key)
    least = _whole(bounds.get("min", default.min), f"{key}.min", 1)
    return Bounds(least, _whole(bounds.get("max", default.max), f"{key}.max", least))

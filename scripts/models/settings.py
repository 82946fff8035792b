"""Reads the settings of a model: its source, the source's options, the dtype of its weights, the seed."""

from dataclasses import MISSING, dataclass, fields
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.models import sources
from scripts.models.source import Source

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelSettings:
    """One model of a study: its source with that source's options, the dtype of its weights, the seed."""

    source: str
    options: Source
    dtype: str
    seed: int


def read(key: str, settings: dict[str, Any]) -> ModelSettings:
    """Read the settings of the model at ``key``, such as ``models.small``, filling in defaults.

    Raises:
        StudyError: an unknown source, option or dtype, or a missing option; the message names it.
    """
    source = settings.get("source")
    if source not in sources.names():
        raise StudyError(f"{key}.source is {source!r}; choose one of {', '.join(sources.names())}.")
    kind = sources.find(source)
    dtype = settings.get("dtype") or kind.default_dtype
    if dtype not in DTYPES:
        raise StudyError(f"{key}.dtype is {dtype!r}; choose one of {', '.join(DTYPES)}.")
    given = settings.get(source) or {}
    known = {field.name: field for field in fields(kind)}
    for option in given:
        if option not in known:
            raise StudyError(f"{key}.{source}.{option} is not a setting; the settings are {', '.join(known)}.")
    for option, field in known.items():
        if field.default is MISSING and given.get(option) in (None, ""):
            state = "empty" if given.get(option) == "" else "missing"
            raise StudyError(f"{key}.{source}.{option} is {state}; give it in the study's configuration.")
    return ModelSettings(source=source, options=kind(**given), dtype=dtype, seed=int(settings.get("seed", 0)))

"""The interface of a row source: its options, and what the workflow and the stage call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from scripts.dataset.entries import Columns, Opened
from scripts.foundation.errors import StudyError


@dataclass(frozen=True)
class Options:
    """A mapping of a study, read value by value; an error names a value by its place, such as ``dataset.hub.id``."""

    given: Mapping[str, Any]
    key: str

    @classmethod
    def of(cls, value: Any, key: str) -> Self:
        """Take a value for a mapping; null is an empty one.

        Raises:
            StudyError: it is something else.
        """
        if not isinstance(value, dict | None):
            raise StudyError(f"{key}: {value!r} must be a mapping of keys to values.")
        return cls(value or {}, key)

    def mapping(self, name: str) -> Options:
        """The mapping below a key."""
        return self.of(self.given.get(name), f"{self.key}.{name}")

    def whole(self, name: str, default: int, least: int | None = None) -> int:
        """A whole number of at least ``least``."""
        value = self.given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
            of = "" if least is None else f" of at least {least}"
            raise StudyError(f"{self.key}.{name}: {value!r} must be a whole number{of}.")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not blank."""
        value = self.given.get(name)
        value = default if value is None else value
        if value is None or value == "":
            raise StudyError(f"{self.key}.{name} is empty; set it in the study.")
        if not isinstance(value, str) or not value.strip():
            raise StudyError(f"{self.key}.{name}: a text is needed here and {value!r} is given; set it in the study.")
        return value

    def text_or(self, name: str, default: Any) -> Any:
        """A text, or ``default`` where there is none."""
        return self.text(name) if self.given.get(name) else default

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices, by default the first."""
        value = self.given.get(name, choices[0])
        if value not in choices:
            raise StudyError(f"{self.key}.{name}: {value!r} is unknown; choose one of {', '.join(choices)}.")
        return value

    def columns(self) -> Columns:
        """The source's columns under ``columns``: all by name, or all by position, which counts from 1."""
        options, default = self.mapping("columns"), asdict(Columns())
        for name in options.given:
            if name not in default:
                raise StudyError(f"{options.key}: {name!r} is unknown; map {', '.join(default)}.")
        given = {name: options._column(name, default[name]) for name in default}
        kinds = {isinstance(each, int) for each in given.values() if each is not None}
        if len(kinds) > 1:
            raise StudyError(
                f"{options.key}: name all columns, or give all by position, which is for tables without a header; "
                f"{', '.join(f'{name}: {each}' for name, each in given.items() if each is not None)} mixes both."
            )
        if given["summary"] == given["headline"]:
            raise StudyError(
                f"{options.key}: summary and headline are both {given['summary']}; name the column of each, or every "
                "headline would be its own summary."
            )
        return Columns(**given)

    def _column(self, name: str, default: str | None) -> str | int | None:
        value = self.given.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise StudyError(f"{self.key}.{name}: {value} is no column; the first is 1.")
            return value
        return self.text_or(name, None) if default is None else self.text(name, default)


@dataclass(frozen=True)
class Source:
    """Base of a source's ``Settings``, whose fields are the source's options.

    All but ``open`` is called while the workflow is parsed and must not import heavy libraries.
    """

    data_files: ClassVar[tuple[str, ...]] = ()  # data files of its own, below the project's or the plugin's root

    @classmethod
    def read(cls, options: Options) -> Self:
        """Read the options; by default each field is one, of text or a whole number, as its default is.

        Raises:
            StudyError: one is missing or not allowed; the sentence names it.
        """
        read = {}
        for field in fields(cls):
            is_whole = isinstance(field.default, int)
            default = field.default if isinstance(field.default, int | str) else None
            read[field.name] = (options.whole if is_whole else options.text)(field.name, default)
        return cls(**read)

    def check(self) -> None:
        """Check the options as far as that goes without reading or downloading rows.

        Raises:
            StudyError: one sentence that begins with the option's place.
        """

    def split_rows(self) -> dict[str, int]:
        """Of a source that splits its rows itself, how many ``train_rows`` and ``evaluation_rows`` it gives at most."""
        return {}

    def content(self) -> str:
        """Digest of the files that the options refer to: their content counts, not their age.

        Raises:
            StudyError: a file can't be read.
        """
        return ""

    def open(self, seed: int) -> Opened:
        """Open the source.

        Raises:
            StudyError: it can't be opened.
        """
        raise NotImplementedError

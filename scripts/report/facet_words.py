"""What the report says of a facet's setting: words in data beside the facet, found by its name and its method's.

``scripts/techniques/FACET/words.yaml`` holds what is true of a facet, and ``FACET/METHOD/words.yaml`` what is true of a
method, which takes precedence; both may be a plugin's. Of a facet that is off there may be ``FACET/none/words.yaml``.
Their keys, each a Jinja template (:mod:`scripts.report.templates` has the filters) unless said otherwise:

- ``label``: its name in a sentence; ``kept``: the same where a technique keeps it of its parent, empty for nothing.
- ``summary``: a list of sentences, mostly two, true of it wherever it is used.
- ``mechanism``: how it differs from the parent (begins a sentence). ``work``: what it saves or adds, after a colon.
- ``expected``: the effect on speed by that work: ``faster``, ``neither`` (the default) or ``slower``.
- ``contrary``: what the figures show to stand against an expected gain; ``measured`` is what a test found.
- ``needed``: what a technique that is not supported here would need.
- ``alone``, ``alone_work``: mechanism and work of a technique without a parent.
- ``method``: an expression that names the method; without it a facet has none. ``values``: names for expressions, which
  the templates can use.
- ``of_root: false``: nothing is said of it for a technique without a parent.
- Any other: a constant or a template of the facet's own: ``own.KEY``, ``words(FACET).KEY``, ``say(KEY)``.

They can use:

- ``technique`` and ``parent``: entries of comparison.json (``parent`` is empty where there is none); ``comparison``.
- ``setting`` and ``other``: the technique's value of this facet and the parent's; None where off. ``settings``: all.
- ``evidence``: the facts that show this facet to be on; empty where there are none.
- ``value(KEY)``: a figure of the technique, or None; ``change(KEY)``: its change against the parent, or empty.
- ``beside(KEY, WHAT)``: a figure over the parent's, as in ``half as many WHAT``, or empty; ``work_beside()``: bytes and
  operations a token in that way.
- ``by_less(KEY)``, ``by_more(RATIO)``: the effect on speed of having less of a figure, of a ratio above 1.
- ``break_even(ENTRY)``: ``cost_ratio`` and predicted ``speedup`` of an entry that drafts, or None each.
- ``words(FACET, SETTING)``: what is written of another facet, not rendered; empty where it is off.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.report import templates, words

FASTER, NEITHER, SLOWER = "faster", "neither", "slower"
REQUIRED = ("label", "summary", "mechanism")


@dataclass(frozen=True)
class Written:
    """What is written of a facet's setting: the templates, and for each the file that it is in."""

    content: Mapping[str, Any]
    places: Mapping[str, Path]


def find(facet: str, setting: Any) -> Written:
    """Return what is written of a setting of a facet.

    Raises:
        StudyError: the facet, or the method that the setting names, has no words, or one that is required is missing
            or has another form.
    """
    path = _file(facet)
    content = templates.read(path)
    found = Written(content, dict.fromkeys(content, path))
    if setting is None:
        found = _with(found, _file(facet, "none"), facet_label=content.get("label", facet))
    elif "method" in content:
        method = str(templates.value(f"{path}, method", content["method"], {"setting": setting}))
        found = _with(found, _file(facet, method))
    for key in REQUIRED:
        if key not in found.content:
            raise StudyError(f"{list(found.places.values())[-1]} has no '{key}', nor has the facet's; add it.")
    if not isinstance(found.content["summary"], list):
        raise StudyError(f"{found.places['summary']}, summary: this is no list of sentences; make it one.")
    return found


def check(techniques: Iterable[Mapping[str, Any]]) -> None:
    """See that there are words for every setting of these techniques, before any of them is run.

    Args:
        techniques: of each its settings, by facet.

    Raises:
        StudyError: as :func:`find`.
    """
    for settings in techniques:
        for facet, setting in settings.items():
            found = find(facet, _off(setting))
            for key, written in found.content.items():
                for template in written if isinstance(written, list) else [written]:
                    if isinstance(template, str):
                        templates.check(f"{found.places.get(key, facet)}, {key}", template)


def _file(facet: str, method: str = "") -> Path:
    for name in filter(None, (facet, method)):
        if not re.fullmatch(r"\w+", name):
            raise StudyError(f"{name!r} is no name of a facet or of a method; correct the setting of {facet!r}.")
    path = "/".join(filter(None, ("scripts/techniques", facet, method, "words.yaml")))
    found = plugins.files(path)
    if not method:
        found += plugins.files(f"report/words/{facet}.yaml")  # of the model, which is no facet
    elif method == "none":
        found += plugins.files("report/words/off.yaml")
    if not found:
        raise StudyError(
            f"the report has no words for the facet '{facet}': {path} is missing; write it as those of other facets."
        )
    return found[0]


def _with(found: Written, path: Path, **more: Any) -> Written:
    own = templates.read(path)
    values = {**found.content.get("values", {}), **own.get("values", {})}
    return Written({**found.content, **own, **more, "values": values}, {**found.places, **dict.fromkeys(own, path)})


class FacetWords:
    """Says what is written of one facet of a technique.

    Args:
        facet: its name.
        technique: an entry of comparison.json, its texts inert.
        parent: the entry of its parent, or None.
        comparison: content of comparison.json, its texts inert.

    Raises:
        StudyError: as :func:`find`.
    """

    def __init__(
        self,
        facet: str,
        technique: Mapping[str, Any],
        parent: Mapping[str, Any] | None = None,
        comparison: Mapping[str, Any] | None = None,
    ) -> None:
        self.facet = facet
        settings = technique["settings"] or {}
        own, other = (_off(each.get(facet)) for each in (settings, (parent or {}).get("settings") or {}))
        self._written = find(facet, own)
        content = self._written.content
        self._context = {
            **_functions(technique, parent, comparison or {}),
            "technique": technique,
            "parent": parent or {},
            "comparison": comparison or {},
            "setting": own,
            "other": other,
            "settings": settings,
            "evidence": (technique.get("evidence") or {}).get(facet) or {},
            "own": content,
            "facet_label": content.get("facet_label", ""),
            "say": self.say,
        }
        self._values: dict[str, Any] = {}

    def has(self, key: str) -> bool:
        """Whether something is written under a key."""
        return key in self._written.content

    def constant(self, key: str, default: Any) -> Any:
        """Return what is written under a key, as it stands there."""
        return self._written.content.get(key, default)

    def say(self, key: str, **more: Any) -> str:
        """Return a template's text, which can use more names; empty where it is not written."""
        return self._say(key, self._written.content.get(key, ""), more)

    def summary(self) -> list[str]:
        """Return the sentences that say what it is."""
        told = (self._say("summary", sentence, {}) for sentence in self._written.content["summary"])
        return [sentence for sentence in told if sentence]

    def kept(self) -> str:
        """Return its name where a technique keeps it of its parent; empty where it goes without saying."""
        return self.say("kept" if self.has("kept") else "label")

    def expected(self) -> str:
        """Return the effect on speed by the work."""
        found = self.say("expected") or NEITHER
        if found not in (FASTER, NEITHER, SLOWER):
            raise StudyError(f"{self._place('expected')}: {found!r} is neither faster, neither nor slower; correct it.")
        return found

    def _say(self, key: str, template: str, more: Mapping[str, Any]) -> str:
        return templates.say(self._place(key), template, {**self._named(), **more})

    def _named(self) -> Mapping[str, Any]:
        """Return the context with the facet's own values, of which a later one can use those before it."""
        if not self._values:
            known = dict(self._context)
            for name, expression in (self._written.content.get("values") or {}).items():
                known[name] = templates.value(f"{self._place('values')}.{name}", expression, known)
            self._values = known
        return self._values

    def _place(self, key: str) -> str:
        return f"{self._written.places.get(key, self.facet)}, {key}"


def _off(setting: Any) -> Any:
    return None if setting == "none" else setting


def _functions(
    technique: Mapping[str, Any], parent: Mapping[str, Any] | None, comparison: Mapping[str, Any]
) -> dict[str, Callable[..., Any]]:
    """Return what templates can ask of a technique and its parent."""
    settings = technique["settings"] or {}

    def beside(key: str, what: str) -> str:
        known = words.ratio(technique, parent, key)
        return words.as_many(known, what) if known else ""

    def by_less(key: str) -> str:
        found = words.ratio(technique, parent, key)
        return {FASTER: SLOWER, SLOWER: FASTER}.get(by_more(found or 1.0), NEITHER)

    def by_more(ratio: float) -> str:
        return NEITHER if abs(ratio - 1) <= words.SAME else FASTER if ratio > 1 else SLOWER

    def break_even(entry: Mapping[str, Any]) -> dict[str, float | None]:
        row = next((row for row in comparison["break_even"] if row["technique"] == entry.get("name")), {})
        keys = {"cost_ratio": "cost_ratio", "speedup": "predicted_speedup"}
        return {name: (row.get(key) or {}).get("value") for name, key in keys.items()}

    def of_other(facet: str, *setting: Any) -> Mapping[str, Any]:
        own = setting[0] if setting else _off(settings.get(facet))
        return {} if own is None else find(facet, own).content

    return {
        "value": lambda key: words.value(technique, key),
        "change": lambda key: words.change(technique, key),
        "beside": beside,
        "work_beside": lambda: work_beside(technique, parent),
        "by_less": by_less,
        "by_more": by_more,
        "break_even": break_even,
        "words": of_other,
    }


def work_beside(technique: Mapping[str, Any], parent: Mapping[str, Any] | None) -> str:
    """Return bytes and operations a token beside the parent's."""
    known = [
        (found, what)
        for key, what in (("bytes_per_token", "bytes"), ("flops_per_token", "operations"))
        if (found := words.ratio(technique, parent, key))
    ]
    if known and all(abs(found - 1) <= words.SAME for found, _ in known):
        return f"as many {words.listed([what for _, what in known])} a token"
    shown = words.listed([words.as_many(found, what) for found, what in known])
    return f"{shown} a token" if shown else ""

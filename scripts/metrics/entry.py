"""The registry entry of a figure: unit, label, definition, place in tables, and how it is compared."""

from collections.abc import Iterable
from dataclasses import dataclass

from scripts.metrics import figures

# Groups of the report's table in their order; others come before the changes.
CHANGES = "Against the baseline"
GROUPS = ("Latency", "Fixed length", "Throughput", "Memory", "Quality", "Headlines", "Cost and machine")
TIMING, PROMPTS, LIKELIHOOD, READING, SEARCHED = "timing", "prompts", "likelihood", "reading", "searched"
FASTER, MORE = ("faster", "slower"), ("lower", "higher")


@dataclass(frozen=True)
class Term:
    """A definition that several figures may share, under a title of its own."""

    title: str
    text: str


@dataclass(frozen=True)
class Place:
    """A figure's position in the report's table of results: its group, and its order within it."""

    group: str
    place: int = 9
    main: bool = False
    """Whether the table shows it unless the reader chooses otherwise."""


@dataclass(frozen=True)
class Change:
    """How a figure of two techniques is compared.

    Attributes:
        key: what the change is called in a comparison.
        how: ``TIMING``: ratio of means, tested over prompts and runs; ``PROMPTS``: ratio of means, tested over prompts;
            ``LIKELIHOOD``: difference of means, tested over prompts; ``READING``: ratio of single readings, not tested.
        numerator, denominator: columns by prompt; the figure is the mean of one over that of the other. None for ones.
        fixed: whether the columns are those of the fixed mode.
        kept: whether it is given as the share of the other's that is kept instead of a change.
        of_text: whether it follows from the text alone, so that equal texts have no difference to be found.
        family: family of tests that are corrected together.
        after: gatekeeper: a family in which a difference must be significant first.
        words: the verdicts on a fall and on a rise.
        follows: the change whose verdict it has where every request is served by itself, as its figure is 1 / that one.
        csv: whether the CSV has it.
        verdict: the CSV's column of its verdict; empty for none.
        label: its column in the report's table; empty for none.
        main: as of :class:`Place`.
    """

    key: str
    how: str
    numerator: str | None = None
    denominator: str | None = None
    fixed: bool = False
    kept: bool = False
    of_text: bool = False
    family: str = ""
    after: str = ""
    words: tuple[str, str] = ("", "")
    follows: str = ""
    csv: bool = False
    verdict: str = ""
    label: str = ""
    main: bool = True


@dataclass(frozen=True)
class Entry:
    """One figure.

    Attributes:
        key, unit: as in metrics files; the unit of a plain ratio is ``1``.
        label: what tables call it.
        definition: what it is, in one or two sentences, or a term that it shares.
        better: which end is better, ``low`` or ``high``; empty where neither is.
        shown: ``percent``, or ``plain`` where the label says the unit; else the report chooses, of seconds and bytes
            with a prefix.
        decimals: where they are fixed.
        kind: ``figure``, or ``word`` for a verdict.
        study: what tables of reference studies call it; then it stands among the first columns of the CSV.
        csv: its column in the CSV, which has bytes in MB; empty for none.
        bounds: whether the CSV has the ends of the interval, of the figure and of its change.
        spread: whether table and CSV show the spread between runs.
        table: its place in the report's table.
        criterion: its criterion in the overall score.
        change: how it is compared.
    """

    key: str
    unit: str
    label: str
    definition: str | Term = ""
    better: str = ""
    shown: str = ""
    decimals: int | None = None
    kind: str = "figure"
    study: str = ""
    csv: str = ""
    bounds: bool = False
    spread: bool = False
    table: Place | None = None
    criterion: str = ""
    change: Change | None = None

    @property
    def term(self) -> Term:
        """Its definition, under its own label where it shares none."""
        return self.definition if isinstance(self.definition, Term) else Term(self.label, self.definition)


def missing(of: Iterable[Entry], reason: str) -> dict[str, figures.Figure]:
    """Return these figures without values."""
    return {entry.key: figures.missing(entry.unit, reason) for entry in of}

"""What a section of the report is: one view and one partial."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Comparison = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes:
        id: the anchor; ``report/partials/ID.html.j2`` shows it, with what the view returned as ``view``.
        title: what it is called in the navigation.
        order: its place among the others, lowest first.
        view: makes of a comparison, its texts inert, what the partial shows; None where there is nothing, and then the
            section is left out. The partial escapes every text.
        navigation: whether it stands there.
        short: the same for the Markdown report, which ``report/partials/ID.md.j2`` shows; None where it has none.
    """

    id: str
    title: str
    order: int
    view: Callable[[Comparison], Any]
    navigation: bool = True
    short: Callable[[Comparison], Any] | None = None

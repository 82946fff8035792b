"""What a section of the report is: one view and one partial."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Comparison = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A section of the report, or a part of one.

    Attributes:
        id: the anchor; ``report/partials/ID.html.j2`` shows it, without a heading of its own, with what the view
            returned as ``view``.
        title: its heading; that of a section also stands in the navigation.
        order: its place among the others, lowest first.
        view: makes of a comparison, its texts inert, what the partial shows; None where there is nothing, and then the
            section is left out. The partial escapes every text.
        within: the id of the section that it is a part of; None for a section of its own.
        folded: whether the part is one of the section's details, which are closed at first.
        short: the same for the Markdown report, which ``report/partials/ID.md.j2`` shows; None where it has none.
    """

    id: str
    title: str
    order: int
    view: Callable[[Comparison], Any]
    within: str | None = None
    folded: bool = True
    short: Callable[[Comparison], Any] | None = None

"""Numbers as text: one unit and one number of decimals a column, so that figures can be compared down the column."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
NOTHING = "\N{EM DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"

TIME = [(1.0, "s"), (1e-3, "ms"), (1e-6, "\N{MICRO SIGN}s")]
BYTES = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]
OPERATIONS = [(1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP")]


@dataclass(frozen=True)
class Scale:
    """A unit, how large it is in the figure's own unit, and how many decimals are shown."""

    unit: str
    size: float = 1.0
    decimals: int = 2

    def show(self, value: float | None) -> str:
        """Return a value as text, without its unit."""
        return NOTHING if value is None else fixed(value / self.size, self.decimals)

    def show_with_unit(self, value: float) -> str:
        """Return a value as text with its unit."""
        return f"{self.show(value)} {self.unit}"

    def interval(self, low: float | None, high: float | None) -> str:
        """Return an interval as text; an end that is not known is left open. Empty when neither is known."""
        if low is None and high is None:
            return ""
        if low is None:
            return f"at most {self.show(high)}"
        if high is None:
            return f"at least {self.show(low)}"
        return f"{self.show(low)}{DASH}{self.show(high)}"


def fixed(value: float, decimals: int) -> str:
    """Return a number with a true minus sign and thousands separators; minus zero is zero."""
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def column_scale(values: Iterable[float | None], units: list[tuple[float, str]]) -> Scale:
    """Choose the unit that puts the median of a column between 1 and 1,000, and decimals for three digits.

    Args:
        values: the column; None where there is no figure.
        units: sizes and names, largest first.
    """
    known = sorted(abs(value) for value in values if value)
    if not known:
        return Scale(units[0][1], units[0][0])
    median = known[len(known) // 2]
    size, name = next(((size, name) for size, name in units if median >= size), units[-1])
    # Three digits for the smallest value too, as long as that gives at most one digit more to the others.
    usual = digits_after_point(median / size, 3)
    decimals = min(max(usual, digits_after_point(known[0] / size, 3)), usual + 1)
    return Scale(name, size, decimals if size != 1.0 or name != "B" else 0)


def digits_after_point(value: float, digits: int) -> int:
    """Return how many decimals show ``digits`` significant digits of a positive value, at most four."""
    return min(max(digits - 1 - math.floor(math.log10(value)), 0), 4)


def ratio_texts(value: float | None, low: float | None = None, high: float | None = None) -> tuple[str, str]:
    """Return a ratio with two decimals, fewer from 10 on and three below 0.1, and its interval with as many."""
    if value is None:
        return NOTHING, ""
    scale = Scale("", 1.0, min(digits_after_point(value, 3), 2 if value >= 0.1 else 3) if value > 0 else 2)
    return f"{scale.show(value)}{TIMES}", scale.interval(low, high)


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign; zero has none."""
    text = fixed(value, decimals)
    return text if text.startswith(MINUS) or not text.strip("0.") else f"+{text}"


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a signed percentage, e.g. of a change."""
    if value is None:
        return NOTHING
    return f"{signed(value, decimals)}%"


def percent_interval(low: float | None, high: float | None, signed: bool = True, decimals: int = 1) -> str:
    """Return an interval of percentages as text, empty when it is not known."""
    if low is None or high is None:
        return ""
    if signed:
        return f"{percent(low, decimals)[:-1]} to {percent(high, decimals)}"
    return f"{fixed(low, decimals)}{DASH}{fixed(high, decimals)}%"


def share(value: float | None) -> str:
    """Return a share of one as a percentage."""
    return NOTHING if value is None else f"{fixed(100 * value, 1 if 0 < value < 1 else 0)}%"

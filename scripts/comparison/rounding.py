"""Rounding of the many raw values that the report draws: no reader can see more, and they are most of its size."""

SIGNIFICANT_DIGITS = 6


def significant(value: float | None) -> float | None:
    """Round to six significant digits; None stays None."""
    return None if value is None else float(f"{value:.{SIGNIFICANT_DIGITS}g}")

"""Layer widths that matrix kernels handle efficiently."""

INT4_GROUP = 64  # columns that share a scale and a minimum in 4-bit weights


def kept_channels(width: int, amount: float) -> int:
    """Feed-forward channels left of ``width`` after pruning the share ``amount``: at least one, fewer than all.

    Rounded to the nearest multiple of 64 where there are 1,024 or more, as tensor cores and blocks of quantised weights
    want, else of 8 (NVIDIA, Matrix Multiplication Background, section 4). ``width`` is 2 or more.
    """
    step = 64 if width >= 1024 else 8 if width > 8 else 1
    kept = round((1 - amount) * width / step) * step
    return min(max(kept, step), (width - 1) // step * step)

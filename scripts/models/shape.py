"""Whether the sizes of an architecture fit together."""

from scripts.foundation.errors import StudyError


def check_heads(where: str, hidden: int, heads: int, kv_heads: int, head_size: int | None = None) -> None:
    """Check that the heads of an attention layer fit its width.

    Raises:
        StudyError: naming both numbers; ``where`` is the key that holds them.
    """
    if head_size is None:
        if hidden % heads:
            raise StudyError(f"{where}: hidden ({hidden}) is not divisible by heads ({heads}); change one of them.")
        head_size = hidden // heads
    if heads % kv_heads:
        raise StudyError(f"{where}: heads ({heads}) is not divisible by kv_heads ({kv_heads}); change one of them.")
    if head_size % 2:
        raise StudyError(
            f"{where}: each head is {head_size} wide, but rotary positions need an even width; change hidden or heads."
        )

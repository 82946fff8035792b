"""Checks the special tokens that a tokenizer adds around a text; those that would spoil every prompt are refused."""

from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.failures import first_line

_TEXT = "News"


def check(directory: Path, config: dict[str, Any], generation: dict[str, Any]) -> None:
    """Check that the tokenizer puts no end token behind a text, and no second begin token before it.

    Args:
        directory: the checkpoint.
        config: its ``config.json``.
        generation: its ``generation_config.json``; empty where it has none.

    Raises:
        StudyError: it does, or transformers cannot load it.
    """
    tokenizer = _load(directory)
    plain = tokenizer(_TEXT, add_special_tokens=False)["input_ids"]
    given = tokenizer(_TEXT)["input_ids"]
    ends = _ids(tokenizer.eos_token_id) | _ids(config.get("eos_token_id")) | _ids(generation.get("eos_token_id"))
    if given[-1:] != plain[-1:] and given and given[-1] in ends:
        raise StudyError(
            f"the tokenizer in {directory} puts its end token, {tokenizer.convert_ids_to_tokens(given[-1])!r}, behind "
            "every prompt, so that the model would write after an end; set add_eos_token to false in "
            "tokenizer_config.json, or take the token out of the post_processor in tokenizer.json."
        )
    begin = tokenizer.bos_token_id
    if begin is not None and given[:2] == [begin, begin]:
        raise StudyError(
            f"the tokenizer in {directory} puts its begin token, {tokenizer.bos_token!r}, before every prompt twice; "
            "set add_bos_token to false in tokenizer_config.json, or take one out of the post_processor in "
            "tokenizer.json."
        )


def _load(directory: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged file makes any kind of error in the libraries that read it
        raise StudyError(f"{directory} has no tokenizer that transformers can load ({first_line(error)}).") from None


def _ids(value: Any) -> set[int]:
    return {each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)}

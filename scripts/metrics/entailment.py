"""Whether a summary entails its headline, by a classifier of natural language inference (after Maynez et al., 2020).

The classifier is read from a local folder, safetensors only, and runs on the CPU in float32. Which output stands for
entailment is read from its own ``id2label``.
"""

import re
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.metrics.text_model import room
from scripts.models.stored_files import weight_files

BATCH = 16
_ENTAILS = re.compile(r"entail(?:s|ed|ment|ing)?")


def judged(summaries: list[str], headlines: list[str], directory: Path, label: str) -> list[float | None]:
    """Return per headline 1 where its summary entails it, else 0; None for an empty one, which states nothing.

    Args:
        summaries: the premises; a long one is cut.
        headlines: the hypotheses, as many.
        directory: folder of a sequence classifier with a label for entailment.
        label: what the progress bar says.

    Raises:
        StudyError: the folder holds no such classifier.
    """
    import torch
    from tqdm import tqdm

    model, tokenizer, entails = _load(directory)
    result: list[float | None] = [None] * len(headlines)
    wanted = [at for at, headline in enumerate(headlines) if headline.strip()]
    with torch.inference_mode(), tqdm(total=len(wanted), desc=label, unit="sample", mininterval=1.0) as bar:
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            inputs = tokenizer(
                [summaries[at] for at in batch], [headlines[at] for at in batch], return_tensors="pt", padding=True,
                truncation="longest_first", max_length=room(model),
            )  # fmt: skip
            chosen = model(**inputs).logits.argmax(dim=-1).tolist()
            for at, index in zip(batch, chosen, strict=True):
                result[at] = float(index == entails)
            bar.update(len(batch))
    return result


def entailment_label(labels: Any, where: str) -> int:
    """Return which output stands for entailment.

    Raises:
        StudyError: none of the labels does, or several do.
    """
    named = {int(index): str(text).strip().lower() for index, text in dict(labels or {}).items()}
    found = [index for index, text in named.items() if _ENTAILS.fullmatch(text)]
    if len(found) != 1:
        shown = ", ".join(text[:30] for text in named.values()) or "none"
        raise StudyError(f"{where}: id2label names no single label for entailment ({shown}); choose an NLI classifier.")
    return found[0]


def _load(directory: Path) -> tuple[Any, Any, int]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not (directory / "config.json").is_file() or not weight_files(directory):
        raise StudyError(f"{directory} holds no classifier (config.json and safetensors); name the folder of one.")
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, **local)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            directory, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"{directory} can't be loaded as a classifier ({error}); name another.") from None
    if info["missing_keys"]:
        lacks = min(info["missing_keys"])
        raise StudyError(f"{directory} has no weights of a classifier ({lacks} is missing); name an NLI classifier.")
    return model.eval(), tokenizer, entailment_label(model.config.id2label, str(directory / "config.json"))

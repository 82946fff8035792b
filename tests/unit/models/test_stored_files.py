"""The list of files that are fetched and digested, held against what the installed transformers reads."""

import fnmatch
import re
from pathlib import Path

import pytest
import transformers
from transformers import tokenization_utils_base, utils
from transformers.models.auto import modeling_auto

from scripts.models import stored_files

ROOT = Path(transformers.__file__).parent


def vocabularies() -> set[str]:
    """Names of vocabulary files that tokenizers of causal language models declare, read from their source."""
    found = set()
    for kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        for source in (ROOT / "models" / kind.replace("-", "_")).glob("tokenization_*.py"):
            for names in re.findall(r"VOCAB_FILES_NAMES *= *\{[^}]*\}", source.read_text(encoding="utf-8")):
                found |= set(re.findall(r': *"([^"]+)"', names))
    return found


def read_by_name() -> set[str]:
    """Names of the other files that transformers reads for a text model."""
    base = tokenization_utils_base
    return {
        utils.CONFIG_NAME, utils.GENERATION_CONFIG_NAME, utils.PROCESSOR_NAME, utils.hub.CHAT_TEMPLATE_FILE,
        utils.hub.LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE, f"{utils.hub.CHAT_TEMPLATE_DIR}/tools.jinja",
        utils.peft_utils.ADAPTER_CONFIG_NAME, base.TOKENIZER_CONFIG_FILE, base.SPECIAL_TOKENS_MAP_FILE,
        base.ADDED_TOKENS_FILE, base.FULL_TOKENIZER_FILE,
    }  # fmt: skip


def test_every_file_that_transformers_reads_is_fetched_and_digested(tmp_path):
    names = vocabularies() | read_by_name()
    assert len(names) > 14
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert {path.relative_to(tmp_path).as_posix() for path in stored_files.small_files(tmp_path)} == names
    missed = [name for name in names if not any(fnmatch.fnmatch(name, each) for each in stored_files.SMALL_FILES)]
    assert missed == []


@pytest.mark.parametrize("name", ["model.py", "pytorch_model.bin", "model_old.safetensors", "README.md", "a.pkl"])
def test_code_pickles_and_stray_weights_are_neither(name, tmp_path):
    (tmp_path / name).write_text("x")
    assert stored_files.small_files(tmp_path) == stored_files.weight_files(tmp_path) == []

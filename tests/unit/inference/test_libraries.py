"""What a run imports, seen from processes of their own: another test may have imported everything here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

BEGIN = """
import json, sys
from scripts.models import libraries
libraries.import_transformers(whole={whole})
from scripts.inference.loading import load, load_tokenizer
from scripts.runtime.models import Process
import torch
process = Process(device=torch.device("cpu"), dtype=torch.float32)
loaded = load({checkpoint!r}, {settings!r}, process, None)
ids = load_tokenizer({checkpoint!r})("The mayor of Norwich said", return_tensors="pt")["input_ids"]
def written(**options):
    return loaded.model.generate(input_ids=ids, max_new_tokens=8, do_sample=False, **options)[0].tolist()
"""
LARGE = ("torch._dynamo", "torch._inductor", "torch.distributed.tensor", "sympy", "scipy", "triton", "bitsandbytes")


def said(code, checkpoint, *, whole=False, settings=None):
    """What a process prints, as JSON."""
    begin = BEGIN.format(whole=whole, checkpoint=str(checkpoint), settings=settings or {"kv_cache": "dynamic"})
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", begin + code], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.decode().splitlines()[-1])


def test_a_run_that_compiles_nothing_writes_the_same_without_the_compiler(checkpoint):
    code = f"print(json.dumps([written(), [name for name in {LARGE!r} if name in sys.modules]]))"
    tokens, imported = said(code, checkpoint)
    assert imported == []
    assert tokens == said("print(json.dumps(written()))", checkpoint, whole=True)


@pytest.mark.slow
def test_the_compiler_is_there_where_it_is_used_after_all(checkpoint):
    code = (
        "compiled = torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(2)).tolist()\n"
        "print(json.dumps([written() == written(cache_implementation='static'), compiled]))"
    )
    assert said(code, checkpoint) == [True, [2.0, 2.0]]


@pytest.mark.slow
def test_pruned_weights_are_loaded_without_it_too(checkpoint):
    settings = {"kv_cache": "dynamic", "pruning": {"method": "magnitude", "amount": 0.5, "scope": "global"}}
    code = f"print(json.dumps([written(), [name for name in {LARGE!r} if name in sys.modules]]))"
    tokens, imported = said(code, checkpoint, settings=settings)
    assert imported == []
    assert tokens == said("print(json.dumps(written()))", checkpoint, whole=True, settings=settings)


def test_more_of_a_module_that_is_stood_in_for_is_had_from_itself():
    code = (
        "import json, sys\nfrom scripts.models import libraries\nimport torch\n"
        "with libraries.without_compiler():\n"
        "    stood_in = type(sys.modules['torch._dynamo']).__name__\n    import torch._inductor\n"
        "    value = torch._dynamo.config.suppress_errors\n"
        "    compiled = torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(1)).tolist()\n"
        "print(json.dumps([stood_in, value, compiled, type(torch._dynamo).__name__]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert json.loads(done.stdout) == ["_StandIn", False, [2.0], "module"], done.stderr.decode()

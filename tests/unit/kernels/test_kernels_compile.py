"""The kernels compile for a GPU: the interpreter runs what the compiler refuses."""

import subprocess

import pytest

from scripts.foundation import modules

pytest.importorskip("triton", reason="there is no Triton for this platform")


@pytest.mark.slow
def test_every_kernel_compiles_for_a_hopper_gpu():
    environment = {key: value for key, value in modules.environment().items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        modules.command("tests.support.compiled_kernels"), env=environment, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    compiled = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"_gemv", "_skinny_gemm", "_sum_pushed", "_sum_ranks", "attend_per_group", "_attend_packed"} <= compiled

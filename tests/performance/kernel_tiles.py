"""The fastest tile configuration of each matrix product on this GPU: the rule's against its neighbours and torch.

    python -m tests.performance.kernel_tiles
    python -m tests.performance.kernel_tiles --shapes llama-3.1-8b --kinds dense --rows 4,112 --output tiles.json

With one row of inputs the GEMV and the skinny GEMM kernel are tried, with more rows the latter and torch's own product
(quantised weights are dequantised for it). From the rule's configuration the search goes on to the best of those that
differ in one size, as long as that is faster. A product is captured in a CUDA graph that goes through so many copies of
the matrix that none stays in the GPU's cache; the time is the least of several replays. What wins over the rule by more
than 3% is printed at the end as it belongs into scripts/kernels/tuned.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from scripts.foundation import files
from tests.performance.tile_search.bench import Bench, compile_ahead
from tests.performance.tile_search.products import Product, wanted
from tests.performance.tile_search.table import HEAD, Timed


def main() -> None:
    """Measure and print line by line, then what belongs into scripts/kernels/tuned.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=listed, default="llama-3.2-1b,llama-3.1-8b", help="of config/architectures")
    parser.add_argument("--kinds", type=listed, default="dense,int8,int4,fp8", help="how weights are stored")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default="1,4,112")
    parser.add_argument("--seconds", type=float, default=600, help="begin nothing new after so long")
    parser.add_argument("--output", type=Path, help="every time, as JSON")
    arguments = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        parser.error("kernels are tuned on a GPU; there is none here")
    until = time.monotonic() + arguments.seconds
    jobs = list(wanted(arguments.shapes, arguments.kinds, arguments.rows))
    compile_ahead(jobs)
    found = measure(jobs, until)
    entries = sorted({each.entry() for each in found} - {""})
    print("\n".join(["", f'"{torch.cuda.get_device_name()}": {{', *(f"    {entry}" for entry in entries), "},"]))
    if arguments.output:
        times = [each.document() for each in found]
        files.write_json(arguments.output, {"gpu": torch.cuda.get_device_name(), "times": times})


def measure(jobs: list[tuple[Product, str, int]], until: float) -> list[Timed]:
    """Measure one product after another, and print each."""
    found = []
    print(HEAD, flush=True)
    for product, kind, rows in jobs:
        if time.monotonic() > until:
            print("the time is over")
            break
        try:
            found.append(Bench(product, kind, rows).measured(until))
            print(found[-1].line(), flush=True)
        except RuntimeError as error:
            print(f"{product.name}, {kind}, {rows} rows: {error}")
    return found


def listed(text: str) -> list[str]:
    """Names, separated by commas."""
    return [part.strip() for part in text.split(",")]


if __name__ == "__main__":
    main()

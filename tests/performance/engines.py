"""What the graph engine reaches, as ratios measured in turn in one process, against what it is to reach.

    python -m tests.performance.engines
    python -m tests.performance.engines --parts one,batch --output engines.json
    python -m tests.performance.engines --quick

Weights are random and made on the device from the shapes in config/architectures; prompts are random token ids, 80 of
them and 16 new tokens where nothing else is said. A figure is the median with a 95% bootstrap interval over rounds in
which both sides run in a drawn order. A row that can't be measured on this machine says why; one that falls short is
followed by what bounds it. ``static`` compiles for most of a minute, and --quick leaves it out unless it is named.
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.foundation import files
from tests.performance.engine_rows.limits import PARTS
from tests.performance.engine_rows.table import Row, completed, last_lines, markdown

ROUNDS, QUICK_ROUNDS = 24, 8


def main() -> None:
    """Measure the parts one after another and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=parts_of, help=f"of {','.join(PARTS)}; all of them without")
    parser.add_argument("--output", type=Path, help="every raw figure, as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and batch sizes, for a first look")
    arguments = parser.parse_args()
    parts = arguments.parts or [part for part in PARTS if not (arguments.quick and part == "static")]
    rows, seconds = measure(parts, quick=arguments.quick)
    print(markdown(rows))
    print("\n" + ", ".join(f"{part} {spent:.0f} s" for part, spent in seconds.items()))
    if arguments.output:
        files.write_json(arguments.output, document(rows, seconds, arguments.quick))


def parts_of(text: str) -> list[str]:
    """The names of parts, separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    return parts


def measure(parts: list[str], *, quick: bool) -> tuple[list[Row], dict[str, float]]:
    """All rows of the parts, and the seconds of each part; what fails stands in its rows."""
    import torch
    import transformers

    from tests.performance.engine_rows import models

    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("torch").setLevel(logging.ERROR)
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)  # threads that wait for busy cores take many times as long
    place = models.Place(device, QUICK_ROUNDS if quick else ROUNDS, quick)
    rows: list[Row] = []
    reasons: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for part in parts:
        began = time.perf_counter()
        make, why_not = _maker(part)
        reason = why_not(place)
        if reason is None:
            try:
                rows.extend(make(place))  # rows that came before an error stay
            except Exception as error:  # the other parts can still be measured
                reason = last_lines(error)
                # Its frames hold the models.
                error.__traceback__ = None
        if reason is not None:
            reasons[part] = reason
        models.free()
        seconds[part] = time.perf_counter() - began
        print(f"{part}: {seconds[part]:.0f} s{', ' + reason if reason else ''}", flush=True)
    return completed(rows, reasons, parts), seconds


def _maker(part: str) -> tuple[Callable[[Any], Iterator[Row]], Callable[[Any], str | None]]:
    """What measures a part, and what says why it can't be measured."""
    from tests.performance.engine_rows import batch, cpu, exact, one, parallel, quantized, speculation
    from tests.performance.engine_rows.models import no_gpu

    def anywhere(place: Any) -> None:
        return None

    def two_gpus(place: Any) -> str | None:
        return no_gpu(place) or parallel.why_not(place)

    return {
        "one": (one.rows, no_gpu),
        "static": (one.static_rows, no_gpu),
        "eight": (one.eight_rows, no_gpu),
        "batch": (batch.rows, no_gpu),
        "quantized": (quantized.rows, no_gpu),
        "speculation": (speculation.rows, no_gpu),
        "pruning": (quantized.pruning_rows, no_gpu),
        "parallel": (parallel.rows, two_gpus),
        "cpu": (cpu.rows, anywhere),
        "exact": (exact.rows, anywhere),
    }[part]


def document(rows: list[Row], seconds: dict[str, float], quick: bool) -> dict[str, Any]:
    """The table with all figures, the machine and the libraries."""
    from scripts.inference import machine

    return {
        "machine": machine.describe(),
        "versions": machine.versions((*machine.LIBRARIES, "triton")),
        "quick": quick,
        "seconds": seconds,
        "rows": [row.document() for row in rows],
    }


if __name__ == "__main__":
    main()

"""What a KV cache in 8 bits gives the graph engine's decode step, against one in the model's dtype.

    python -m tests.performance.quantised_cache --shape llama-3.2-1b --rows 1 16 64 --positions 256 2048 8192

Random weights of a shape of ``config/architectures`` in bfloat16 (without a GPU the ``small`` shape in float32, whose
times say nothing of a GPU). Of each number of rows and of positions in the cache it times, as recorded graphs that are
replayed in turns, the decode attention of all layers and the whole decode step, and prints times and ratios: 2 means
twice as fast as with the unquantised cache. Writes ``quantised-cache-SHAPE.json`` into $OUT where that is set.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.graphs import GraphPool
from scripts.kernels.quantised_cache import DTYPES
from tests.performance.random_models import config_of, random_model

PLAIN = "dynamic"
WARM = 3  # rounds that are left out


def main() -> None:
    """Measure every combination."""
    options = _options()
    cuda = torch.cuda.is_available()
    device, dtype = (torch.device("cuda", 0), torch.bfloat16) if cuda else (torch.device("cpu"), torch.float32)
    shape = options.shape if cuda else "small"
    longest = max(options.positions)
    decoder = Decoder(random_model(config_of(shape, max_position_embeddings=longest + 64), device, dtype), longest + 64)
    name = torch.cuda.get_device_name(0) if cuda else "cpu"
    kinds = [PLAIN, *options.kv_cache]
    print(f"{shape} on {name}: microseconds of attention in all layers and of a whole step; times faster than {PLAIN}")
    print(f"{'rows':>5} {'positions':>9}  " + "  ".join(f"{kind:^31}" for kind in kinds))
    found = []
    for rows in options.rows:
        for positions in options.positions:
            found.append(_measured(decoder, rows, positions, kinds, options.rounds))
            _show(found[-1], kinds)
    if os.environ.get("OUT"):
        path = Path(os.environ["OUT"]) / f"quantised-cache-{shape}.json"
        path.write_text(json.dumps({"shape": shape, "device": name, "levels": found}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="llama-3.2-1b", help="a file of config/architectures, without .json")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--positions", type=int, nargs="+", default=[256, 2048, 8192], help="in the cache already")
    parser.add_argument("--kv-cache", nargs="+", choices=[*DTYPES], default=[*DTYPES], help="what to compare")
    parser.add_argument("--rounds", type=int, default=30)
    return parser.parse_args()


@torch.inference_mode()
def _measured(decoder: Decoder, rows: int, positions: int, kinds: list[str], rounds: int) -> dict[str, Any]:
    """Median seconds of each kind's attention and step, replayed in turns."""
    at = torch.full((rows,), positions, dtype=torch.int32, device=decoder.device)
    tokens = torch.randint(decoder.vocabulary, (rows,), device=decoder.device)
    width = (decoder.heads.query + 2 * decoder.heads.key_value) * decoder.heads.width
    qkv = torch.randn(rows, width, dtype=decoder.dtype, device=decoder.device)
    works: dict[tuple[str, str], Callable[[], object]] = {}
    pool = GraphPool(decoder.device)
    for kind in kinds:
        cache = StaticCache(
            len(decoder.layers), rows, positions + 1, decoder.heads, decoder.dtype, decoder.device, DTYPES.get(kind)
        )
        _fill(cache)

        def attend(cache: StaticCache = cache) -> None:
            for layer, cached in zip(decoder.layers, cache.layers, strict=True):
                decoder.ops.decode_attention(
                    qkv, cached.keys, cached.values, at, layer.heads, layer.rope, scales=cached.scales
                )

        works[kind, "attention"] = pool.capture(attend)
        works[kind, "step"] = pool.capture(
            lambda cached=cache.layers: decoder.greedy(decoder.decode(tokens, cached, at))
        )
    times: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    for _ in range(rounds + WARM):
        for key, work in works.items():
            times[key].append(_seconds(work, decoder.device))
    return {"rows": rows, "positions": positions} | {
        f"{kind} {what}": median(each[WARM:]) for (kind, what), each in times.items()
    }


def _fill(cache: StaticCache) -> None:
    """Put something of the usual size into every position."""
    for layer in cache.layers:
        for numbers in (layer.keys, layer.values):
            if numbers.dtype == torch.int8:
                numbers.random_(-127, 128)
            else:
                numbers.copy_(torch.randn(numbers.shape[1:], device=numbers.device).expand_as(numbers))
        for scales in layer.scales or ():
            scales.fill_(0.01)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1e3


def _show(level: dict[str, Any], kinds: list[str]) -> None:
    cells = []
    for kind in kinds:
        attention, step = (level[f"{kind} {what}"] for what in ("attention", "step"))
        ratios = [level[f"{PLAIN} {what}"] / level[f"{kind} {what}"] for what in ("attention", "step")]
        cells.append(f"{1e6 * attention:8.1f} {1e6 * step:8.1f}  {ratios[0]:5.2f}x {ratios[1]:5.2f}x")
    print(f"{level['rows']:5} {level['positions']:9}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()

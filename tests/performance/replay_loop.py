"""What the graph engine's decode loop costs over bare replay of the same CUDA graphs.

    python -m tests.performance.replay_loop

128 tokens of the Llama-3.2-1B shape, bfloat16. Both sides take turns in one process; the figure is the ratio of their
medians with a 95% bootstrap interval. The exit status is 1 where it is above the limit.
"""

import argparse
import sys
import time

import numpy as np
import torch
from scipy.stats import bootstrap

from scripts.engine.engine import GraphEngine
from scripts.runtime.models import Loaded, Process
from tests.performance.random_models import config_of, prompt, random_model

PROMPT_TOKENS, NEW_TOKENS = 80, 128
LIMIT, AIM = 1.01, 1.003


@torch.inference_mode()
def replay(engine: GraphEngine) -> float:
    """Seconds of as many decode steps as a request has, launched one after another."""
    session = engine.sessions[1]
    session.state.positions.fill_(PROMPT_TOKENS)
    session.state.step.fill_(1)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(NEW_TOKENS - 1):
        session.step()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> int:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=24, help="how often each side runs")
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available():
        parser.error("CUDA graphs need a GPU; there is none here")
    device, config = torch.device("cuda", 0), config_of("llama-3.2-1b")
    tokens = prompt(PROMPT_TOKENS, config.vocab_size)
    loaded = Loaded(random_model(config, device, torch.bfloat16), Process(device, torch.bfloat16), {})
    engine = GraphEngine(loaded, shared_prefix=False, pad=0)
    engine.reserve([[tokens]], NEW_TOKENS)
    engine.limit(NEW_TOKENS, [])

    def loop() -> float:
        moments = engine.generate([tokens]).moments
        return moments[-1] - moments[0]

    loop(), replay(engine)
    times = np.array([(loop(), replay(engine)) for _ in range(rounds)]).T

    def ratio(loops: np.ndarray, replays: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.median(loops, axis=axis) / np.median(replays, axis=axis)

    interval = bootstrap(tuple(times), ratio, paired=True, vectorized=True, random_state=0).confidence_interval
    found, (loop_s, replay_s) = float(ratio(*times)), np.median(times, axis=1)
    print(
        f"decode loop / bare replay: {found:.4f} (95% {interval.low:.4f} to {interval.high:.4f}), at most {LIMIT} (aim "
        f"{AIM}); {1e3 * loop_s:.3f} and {1e3 * replay_s:.3f} ms for {NEW_TOKENS - 1} tokens, {rounds} rounds"
    )
    return int(found > LIMIT)


if __name__ == "__main__":
    sys.exit(main())

"""What the timed loop costs over bare `model.generate` on the same prompts, paired in one run.

    python -m tests.performance.timed_loop --model results/models/small --dataset results/dataset/eval.jsonl

Each prompt is generated both ways in turn, the order drawn at random; the figure is the ratio of the mean of the
prompts' least latencies, with a 95% bootstrap interval over prompts.
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

from scripts.foundation import files
from scripts.inference.loading import load, load_tokenizer
from scripts.inference.prompts import find_stops
from scripts.inference.timed_loop import generation_config, time_batch
from scripts.runtime.models import Process
from scripts.runtime.timing import synchronise

PROMPT = "Generate a concise headline for the following news summary: {summary}"


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint directory")
    parser.add_argument("--dataset", type=Path, required=True, help="evaluation samples, JSON lines")
    parser.add_argument("--rounds", type=int, default=15, help="how often every prompt is generated each way")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    process = Process(device=device, dtype=torch.float32)
    tokenizer = load_tokenizer(arguments.model)
    loaded = load(arguments.model, {"kv_cache": "dynamic"}, process, None)
    stops = find_stops(tokenizer, [], "line_break")
    config = generation_config(40, stops, tokenizer.pad_token_id)
    loaded.model.generation_config = config
    options = {"generation_config": config, "use_cache": True}

    def bare(prompt: str) -> float:
        synchronise(device)
        began = time.perf_counter()
        inputs = tokenizer(prompt, return_tensors="pt").to(device)
        loaded.model.generate(**{key: inputs[key] for key in ("input_ids", "attention_mask")}, **options)
        synchronise(device)
        return time.perf_counter() - began

    def timed(prompt: str) -> float:
        return time_batch([prompt], tokenizer, loaded, options, stops)[0]["batch_time_s"]

    prompts = [PROMPT.replace("{summary}", row["summary"]) for row in files.read_json_lines(arguments.dataset)]
    for prompt in prompts[:3]:
        bare(prompt), timed(prompt)
    order = random.Random(0)
    ways = {"bare": bare, "timed": timed}
    figures = {name: np.zeros((len(prompts), arguments.rounds)) for name in ways}
    for turn in range(arguments.rounds):
        for index, prompt in enumerate(prompts):
            for name in order.sample(list(ways), 2):
                figures[name][index, turn] = ways[name](prompt)
    # The least of the rounds: what interrupts a process only ever adds to its time.
    per_prompt = {name: values.min(axis=1) for name, values in figures.items()}
    interval = bootstrap(
        (per_prompt["timed"], per_prompt["bare"]), lambda a, b: a.mean() / b.mean(), paired=True, vectorized=False,
        n_resamples=2000, random_state=0,
    ).confidence_interval  # fmt: skip
    ratio = per_prompt["timed"].mean() / per_prompt["bare"].mean()
    print(
        f"timed loop / bare generate: {ratio:.4f} (95% {interval.low:.4f} to {interval.high:.4f}), "
        f"n = {len(prompts)} prompts x {arguments.rounds}, bare {per_prompt['bare'].mean() * 1e3:.2f} ms a sample"
    )


if __name__ == "__main__":
    main()

"""Runs in the form that the generation stage writes, made up from a seed: for tests of what reads them."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from scripts.metrics import runs as run_files
from scripts.metrics import texts, tokenizer
from scripts.score_text import about_references, text_scores
from tests.support.synthetic_records import (
    MACHINE,
    VERSIONS,
    make_calibration,
    make_conditions,
    make_failed_run,
    make_model,
    make_run,
)

__all__ = [
    "MACHINE",
    "VERSIONS",
    "finished",
    "make_calibration",
    "make_conditions",
    "make_dataset",
    "make_failed_run",
    "make_fixed",
    "make_model",
    "make_run",
    "make_samples",
    "write_lines",
    "write_run",
    "write_text",
]

WORDS = [
    "market",
    "river",
    "council",
    "storm",
    "school",
    "record",
    "vote",
    "bridge",
    "harvest",
    "museum",
    "league",
    "budget",
]
FIXED_SAMPLES, FIXED_TOKENS = 16, 16
ACCEPTANCE = 0.7  # chance that a drafted token is taken when those before it were
DRAFT_COST = 0.15  # time of a draft's forward over its target's
RUN_1_KEYS = ("reference_nll", "reference_tokens", "margins", "runners_up", "margin_shifts", "argmax_agrees")


def make_dataset(count: int = 12, seed: int = 0) -> list[dict[str, str]]:
    """Return ``count`` rows of an evaluation set."""
    draw = random.Random(seed)
    rows = []
    for index in range(count):
        headline = " ".join(draw.choices(WORDS, k=7)).capitalize()
        summary = (
            f"{headline}, officials said on day {index}. " + " ".join(draw.choices(WORDS, k=14)).capitalize() + "."
        )
        rows.append({"id": f"{index:012x}", "summary": summary, "headline": headline, "category": "NEWS"})
    return rows


def make_samples(
    dataset: list[dict[str, str]],
    speed: float = 1.0,
    damage: float = 0.25,
    seed: int = 0,
    noise_seed: int = 0,
    drafted: int = 0,
) -> list[dict[str, Any]]:
    """Return the samples of one run.

    Args:
        dataset: the evaluation set.
        speed: how many times faster than the slowest.
        damage: share of the reference's words that come out wrong.
        seed: of the text; the same seed and damage give the same tokens.
        noise_seed: of the timing.
        drafted: tokens that are proposed at a time; 0 for no speculation.
    """
    text, noise, likelihood, luck = (random.Random(each) for each in (seed, noise_seed, seed, seed))
    samples = []
    for row in dataset:
        words = [text.choice(WORDS) if text.random() < damage else word for word in row["headline"].split()]
        ids = [int(hashlib.sha256(word.encode()).hexdigest()[:3], 16) for word in words] + [1]
        step = 0.02 / speed * noise.uniform(0.9, 1.1)
        first = 0.03 / speed * noise.uniform(0.9, 1.1)
        times = [first + step * index for index in range(len(ids))]
        sample = {
            "id": row["id"],
            "prompt_tokens": 40,
            "new_tokens": len(ids),
            "token_ids": ids,
            "text": " ".join(words),
            "latency_s": times[-1] + 0.0005,
            "ttft_s": first,
            "token_times_s": times,
            "stop_reason": "end",
            "reference_nll": (len(words) + 1) * (0.2 + 2 * damage) * likelihood.uniform(0.8, 1.2),
            "reference_tokens": len(words) + 1,
        }
        samples.append(sample | (_speculated(times, drafted, luck) if drafted else {}))
    return samples


def _speculated(times: list[float], drafted: int, luck: random.Random) -> dict[str, Any]:
    """Return what speculation changes in a sample: its counts, and tokens that come out by the round.

    The request takes as long as before. ``accepted_per_round`` is for the evidence; :func:`write_run` takes it out.
    """
    accepted, rejected, rounds_of = [], 0, []
    while len(rounds_of) < len(times):
        left = len(times) - len(rounds_of)
        taken = 0
        while taken < min(drafted, left) and luck.random() < ACCEPTANCE:
            taken += 1
        rejected += taken < min(drafted, left)
        rounds_of += [len(accepted)] * min(taken + 1, left)
        accepted.append(taken)
    step = (times[-1] - times[0]) / max(len(accepted) - 1, 1)
    return {
        "token_times_s": [min(times[0] + step * number, times[-1]) for number in rounds_of],
        "drafted_tokens": drafted * len(accepted),
        "accepted_tokens": sum(accepted),
        "rejected_tokens": rejected,
        "rounds": len(accepted),
        "accepted_per_round": accepted,
    }


def write_run(
    folder: Path, run: dict[str, Any], samples: list[dict[str, Any]], fixed: list[dict[str, Any]] | None = None
) -> Path:
    """Write run.json, samples.jsonl and fixed.jsonl; return the folder.

    What a run leaves beside what ``samples`` say is filled in: batches, the fixed mode, and in run 1 the likelihoods.
    """
    run, samples = _with_evidence(run, samples)
    samples = finished(samples, run)
    fixed = finished(make_fixed(samples), run | {"run": 0}) if fixed is None else fixed
    if "modes" not in run:
        natural = {"samples": len(samples), "time_s": 0.2 * len(samples)}
        tokens = fixed[0]["new_tokens"] if fixed else None
        run = run | {
            "modes": {
                "natural": natural,
                "fixed": {"samples": len(fixed), "new_tokens": tokens, "time_s": 0.35 * len(fixed)} if fixed else None,
            }
        }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    write_lines(folder / "samples.jsonl", samples)
    write_lines(folder / "fixed.jsonl", fixed)
    return folder


def _with_evidence(run: dict[str, Any], samples: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Move what samples say of their rounds into the run's evidence."""
    rounds = [taken for sample in samples for taken in sample.get("accepted_per_round", ())]
    if not rounds:
        return run, samples
    totals = {
        key: sum(sample[key] for sample in samples) for key in ("drafted_tokens", "accepted_tokens", "rejected_tokens")
    }
    limit = max(sample["drafted_tokens"] // sample["rounds"] for sample in samples)
    found = {
        "target_calls": len(rounds),
        **totals,
        "acceptance_rate": totals["accepted_tokens"] / (totals["accepted_tokens"] + totals["rejected_tokens"]),
        "accepted_per_round_histogram": [rounds.count(taken) for taken in range(limit + 1)],
        "longest_proposal": limit,
        "draft_calls": totals["drafted_tokens"],
        "proposed_by": ["AssistedCandidateGenerator"],
    }
    kept = [{key: value for key, value in sample.items() if key != "accepted_per_round"} for sample in samples]
    return run | {"evidence": {"speculation": found} | run["evidence"]}, kept


def make_fixed(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the fixed mode that goes with the samples of the natural mode: as fast, and of the same first tokens."""
    result = []
    for sample in samples[:FIXED_SAMPLES]:
        tokens = sample["token_ids"][:-1] if sample["stop_reason"] != "length" else sample["token_ids"]
        tokens = [*tokens, *range(100, 100 + FIXED_TOKENS)][:FIXED_TOKENS]
        natural = sample["token_times_s"]
        step = (natural[-1] - natural[0]) / (len(natural) - 1) if len(natural) > 1 else 0.02
        first = sample.get("ttft_s") or 0.03
        times = [first + step * index for index in range(FIXED_TOKENS)]
        result.append(
            {
                "id": sample["id"],
                "prompt_tokens": 40,
                "new_tokens": FIXED_TOKENS,
                "token_ids": tokens,
                "text": sample["text"],
                "latency_s": times[-1] + 0.0005,
                "ttft_s": first,
                "token_times_s": times,
                "stop_reason": "length",
            }
        )
    return result


def finished(samples: list[dict[str, Any]], run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the samples with what they lack: the batches, and in run 1 what the teacher-forced passes leave.

    Requests of a batch lie apart in evaluation order, as batches are made of requests of about the same length.
    """
    size = (run.get("settings") or {}).get("batch_size") or 1
    count = -(-len(samples) // size)
    members = [samples[number::count] for number in range(count)]
    random_weights = ((run.get("models") or {}).get("target") or {}).get("source") == "random"
    result = []
    for index, sample in enumerate(samples):
        batch = members[index % count]
        line = {
            "batch": index % count,
            "batch_requests": len(batch),
            # A damaged latency must be what the reader finds wrong, so it has no part in the time of the batch.
            "batch_time_s": max([s["latency_s"] for s in batch if isinstance(s["latency_s"], float)], default=1.0),
        } | sample
        if run.get("run") == 1:
            tokens = sample["token_ids"]
            line = {
                "margins": [0.5 + (token % 50) / 10 for token in tokens],
                "runners_up": [token + 1 for token in tokens],
                "argmax_agrees": len(tokens),
            } | line
            line |= {"reference_nll": None, "reference_tokens": None} if random_weights else {}
        else:
            line = {key: value for key, value in line.items() if key not in RUN_1_KEYS}
        result.append(line)
    return result


def write_text(path: Path, technique: str, dataset: list[dict[str, str]], folder: Path) -> Path:
    """Write the file of text scores that goes with a run; return its path."""
    run = run_files.read_run(folder, technique, [row["id"] for row in dataset], fixed=False)
    chosen = tokenizer.choose("auto", [row["headline"] for row in dataset])
    scores = text_scores(texts.headlines(run), dataset * run.draws, chosen) if texts.is_scorable(run) else None
    path.parent.mkdir(parents=True, exist_ok=True)
    content = texts.document(run, scores) | {"tokenizer": chosen.as_dict()} | about_references(dataset)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_lines(path: Path, rows: list[Any]) -> Path:
    """Write one JSON value a line; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

"""Metrics files of one study made up from a seed, straight from arrays: for statistics over many studies."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from scripts.metrics import figures, rouge, spread

UNITS = {
    "latency_s": "s", "latency_p50_s": "s", "latency_p90_s": "s", "latency_p99_s": "s", "ttft_s": "s", "tpot_s": "s",
    "throughput_samples_per_s": "samples/s", "throughput_tokens_per_s": "tokens/s", "peak_memory_bytes": "B",
    "load_peak_memory_bytes": "B", "weight_bytes": "B", "new_tokens": "tokens", "acceptance_rate": "1",
    "drafted_kept": "1", "fixed_latency_s": "s", "fixed_ttft_s": "s", "fixed_tpot_s": "s",
    "fixed_throughput_samples_per_s": "samples/s", "reference_nll_per_token": "nats/token",
    "predicted_time_per_sample_s": "s", **dict.fromkeys(rouge.KEYS, "1"),
}  # fmt: skip
NEW_TOKENS = 13
REFERENCE = {"status": "on", "technique": "a", "digest": "one"}


@dataclass
class Chance:
    """How measurements scatter; every ``*_sd`` is relative.

    Attributes:
        runs: processes a technique.
        prompts: natural requests a run.
        fixed: requests of a fixed length a run.
        process_sd: between processes.
        drift: how much slower the machine is from one round of runs to the next, for every technique.
        round_sd: between rounds, for every technique.
        day_sd: between studies, for every technique and round.
        moment_sd: between the machine's states while single runs were made, which a reference run in turn shares.
        noise_sd: between requests of a process.
        outlier_share: how many requests take three times as long.
    """

    runs: int = 3
    prompts: int = 48
    fixed: int = 16
    process_sd: float = 0.02
    drift: float = 0.005
    round_sd: float = 0.0
    day_sd: float = 0.0
    moment_sd: float = 0.0
    noise_sd: float = 0.05
    outlier_share: float = 0.0005
    prompt_log_sd: float = 0.25


@dataclass
class Technique:
    """One technique of a synthetic study; ``time`` is its time over that of the root.

    ``process_sd`` and ``noise_sd`` take the place of the study's where they are given.
    """

    name: str
    parent: str | None = None
    time: float = 1.0
    process_sd: float | None = None
    noise_sd: float | None = None
    lossless: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    """Keys of its metrics file to replace."""


def make_study(
    techniques: list[Technique], chance: Chance, seed: int = 0, prompts_seed: int | None = None
) -> tuple[dict, list, dict]:
    """Return the study, the dataset and the metrics of each technique; equal seeds of prompts give equal prompts."""
    draw = np.random.default_rng(seed)
    of_prompts = draw if prompts_seed is None else np.random.default_rng([prompts_seed, 1])
    prompts = np.exp(of_prompts.normal(0, chance.prompt_log_sd, chance.prompts))
    drift = (1 + chance.drift * np.arange(chance.runs)) * np.exp(draw.normal(0, chance.round_sd, chance.runs))
    drift = drift * np.exp(draw.normal(0, chance.day_sd)) if chance.day_sd else drift
    scores = of_prompts.beta(4, 4, (2, chance.prompts))
    metrics = {}
    for place, entry in enumerate(techniques):
        content = make_metrics(entry, chance, draw, prompts, drift, scores)
        metrics[entry.name] = content | {"runs": _spans(chance, place)} | entry.changes
    study = {
        "title": "Synthetic timings",
        "baseline": techniques[0].name,
        "techniques": [
            {"name": t.name, "parent": t.parent, "lossless": t.lossless, "settings": t.settings} for t in techniques
        ],
    }
    rows = [{"id": f"{i:04x}", "summary": f"s {prompts_seed}", "headline": "h"} for i in range(chance.prompts)]
    return study, rows, metrics


def make_metrics(
    technique: Technique, chance: Chance, draw: np.random.Generator, prompts: np.ndarray, drift: np.ndarray, scores: Any
) -> dict[str, Any]:
    """Return the content of a technique's metrics file; greedy decoding gives the same text whenever it runs."""
    own = {key: getattr(technique, key) for key in ("process_sd", "noise_sd") if getattr(technique, key) is not None}
    chance = replace(chance, **own)
    moments = np.exp(draw.normal(0, chance.moment_sd, chance.runs)) if chance.moment_sd else np.ones(chance.runs)
    process = technique.time * drift * moments * np.exp(draw.normal(0, chance.process_sd, chance.runs))
    natural = _times(0.2 * prompts, process, chance, draw)
    fixed = _times(0.25 * prompts[: chance.fixed], process, chance, draw)
    built = {key: figures.missing(unit, "not measured") for key, unit in UNITS.items()}
    built |= _figures("", natural) | _figures("fixed_", fixed)
    busy = natural["busy_s"]
    built["throughput_tokens_per_s"] = _figure(NEW_TOKENS / busy.mean(axis=1), "tokens/s", busy)
    built |= {key: figures.repeated_figure([1e8] * chance.runs, "B") for key in UNITS if UNITS[key] == "B"}
    state = (drift * moments)[:, None]
    in_units = [{key: values / state for key, values in times.items()} for times in (natural, fixed)]
    relative = {
        "natural": _averages(in_units[0]),
        "fixed": _averages(in_units[1]),
        "figures": _figures("", in_units[0]) | _figures("fixed_", in_units[1]),
    }
    ids = [f"{i:04x}" for i in range(chance.prompts)]
    samples = _averages(natural) | {
        "id": ids,
        "new_tokens": [NEW_TOKENS] * chance.prompts,
        "token_ids": [list(range(NEW_TOKENS))] * chance.prompts,
        "headline": ["headline"] * chance.prompts,
        "fixed": _averages(fixed) | {"id": ids[: chance.fixed]},
        "relative": relative if chance.moment_sd else None,
        "run_latency_s": natural["latency_s"].tolist(),
        "fixed_run_latency_s": fixed["latency_s"].tolist(),
        **{key: scores[0].tolist() for key in rouge.KEYS},
        "reference_nll": (20 * scores[1]).tolist(),
        "reference_tokens": [10] * chance.prompts,
    }
    return {
        "technique": technique.name, "status": "ok", "reason": None, "quality_measured": True, "figures": built,
        "samples": samples, "sample_count": chance.prompts, "run_count": chance.runs, "batch_size": 1, "processes": 1,
        "settings": technique.settings, "reference": REFERENCE, "runs": [],
        "models": {"target": {"name": "small", "dtype": "float32"}},
    } | technique.changes  # fmt: skip


def _times(base: np.ndarray, process: np.ndarray, chance: Chance, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Return latency, TTFT, TPOT and busy time, each of shape (runs, prompts)."""
    shape = (len(process), len(base))

    def scattered(part: float) -> np.ndarray:
        return part * base * process[:, None] * np.exp(draw.normal(0, chance.noise_sd, shape))

    ttft, decode = scattered(0.2), scattered(0.8)
    decode *= np.where(draw.random(shape) < chance.outlier_share, 3.0, 1.0)
    return {
        "latency_s": ttft + decode,
        "ttft_s": ttft,
        "tpot_s": decode / (NEW_TOKENS - 1),
        "busy_s": ttft + decode,
    }


def _averages(times: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {key: values.mean(axis=0).tolist() for key, values in times.items()}


def _figures(prefix: str, times: dict[str, np.ndarray]) -> dict[str, figures.Figure]:
    keys = ("latency_s", "ttft_s", "tpot_s")
    built = {f"{prefix}{key}": _figure(times[key].mean(axis=1), "s", times[key]) for key in keys}
    busy = times["busy_s"]
    return built | {f"{prefix}throughput_samples_per_s": _figure(1 / busy.mean(axis=1), "samples/s", busy)}


def _figure(runs: np.ndarray, unit: str, requests: np.ndarray) -> figures.Figure:
    values = runs.tolist()
    return figures.figure(float(runs.mean()), unit, len(runs), runs=values, **spread.spreads(values, requests))


def _spans(chance: Chance, place: int) -> list[dict[str, Any]]:
    """Return when each run was: in rounds, every technique once in each."""
    began = [datetime(2025, 1, 2, tzinfo=UTC) + timedelta(hours=r, seconds=10 * place) for r in range(chance.runs)]
    ended = [moment + timedelta(seconds=9) for moment in began]
    return [{"started_at": a.isoformat(), "finished_at": b.isoformat()} for a, b in zip(began, ended, strict=True)]

"""Speculation of an 8B target with a 1B draft, at a forced acceptance, against the target alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from scripts.engine.rounds import drawn
from tests.performance.engine_rows import models
from tests.performance.engine_rows.bounds import kernels, tried
from tests.performance.engine_rows.models import Place
from tests.performance.engine_rows.one import milliseconds
from tests.performance.engine_rows.paired import estimate, interleaved
from tests.performance.engine_rows.table import Row, measured

ACCEPTANCES = (0.7, 0.8, 0.9)
COUNTS, QUICK_COUNTS = (2, 3, 4, 5, 7), (3, 5)  # tokens drafted in a round
TRIALS = 5  # rounds that choose the best of them, before the timing


def rows(place: Place) -> Iterator[Row]:
    """A row an acceptance, with the best number of drafted tokens."""
    target, draft = (
        models.random_model(models.config_of(shape), place.device, torch.bfloat16, seed)
        for seed, shape in enumerate((models.EIGHT, models.ONE))
    )
    prompts = [models.prompt(vocabulary=target.config.vocab_size, seed=seed) for seed in range(max(place.rounds, 20))]
    alone = models.engine(target, [[prompts[0]]])
    alone.generate([prompts[0]])
    alone_step = alone.forward_times()["target_forward_s"]
    trials: dict[float, dict[int, list[float]]] = {share: {} for share in ACCEPTANCES}
    # One at a time: each fuses the target's weights anew.
    for count in QUICK_COUNTS if place.quick else COUNTS:
        generator = _speculative(target, draft, prompts[0], count)
        for share in ACCEPTANCES:
            _force(generator, share)
            trials[share][count] = interleaved({"rounds": _turns(generator, prompts)}, TRIALS)["rounds.whole"]
        del generator
        models.free()
    best = {share: min(tried, key=lambda count: sum(tried[count])) for share, tried in trials.items()}
    for count in sorted(set(best.values())):
        generator = _speculative(target, draft, prompts[0], count)
        for share in ACCEPTANCES:
            if best[share] == count:
                _force(generator, share)
                yield _row(place, generator, alone, alone_step, share, prompts, trials[share])
        del generator
        models.free()


def _speculative(target: Any, draft: Any, prompt: list[int], count: int) -> Any:
    facet = {"draft": "draft", "tokens": count, "forced_acceptance": ACCEPTANCES[0]}
    return models.engine(target, [[prompt]], draft=draft, facets={"speculation": facet})


@torch.inference_mode()
def _force(generator: Any, share: float) -> None:
    """Another share of accepted tokens, in the tensor that the recorded work reads."""
    state = generator.sessions[1].state
    state.draws.copy_(drawn(state.count, share))


def _row(
    place: Place, generator: Any, alone: Any, alone_step: float, share: float, prompts: list[list[int]],
    trials: dict[int, list[float]],
) -> Row:  # fmt: skip
    figures = interleaved({"alone": _turns(alone, prompts), "rounds": _turns(generator, prompts)}, place.rounds)
    theory, times = _theory(generator, share, alone_step)
    accepted = sum(figures["rounds.accepted"]) / max(1, sum(figures["rounds.judged"]))
    note = (
        f"k = {generator.count}, {accepted:.2f} of the judged tokens accepted; in theory {theory:.2f}x; "
        f"{milliseconds(figures, 'alone.whole', 'rounds.whole', 'rounds.first')}; {_shown(times)}"
    )
    value = estimate(figures, lambda m: m["alone.whole"] / m["rounds.whole"])
    raw = figures | {"trials": trials, "theory": theory, "times": times, "count": generator.count}
    return measured(f"speculation_{share}", value, note, raw, lambda: _bounds(generator, times))


def _turns(generator: Any, prompts: list[list[int]]) -> Callable[[], dict[str, float]]:
    """A sample of the next prompt each time, since the draws depend on the prompt; with the rounds' counts."""
    turn = itertools.cycle(prompts)

    def side() -> dict[str, float]:
        figures = models.sample(generator, [next(turn)])()
        if hasattr(generator, "rounds"):
            counts = generator.rounds()
            figures["accepted"] = sum(accepted for _, accepted in counts)
            figures["judged"] = sum(accepted + (accepted < proposed) for proposed, accepted in counts)
            figures["rounds"] = len(counts)
        return figures

    return side


def _theory(generator: Any, share: float, alone_step: float) -> tuple[float, dict[str, Any]]:
    """Tokens of a round over its time in steps of the target alone (Leviathan et al., 2023, theorem 3.8)."""
    times = generator.forward_times()
    tokens = (1 - share ** (generator.count + 1)) / (1 - share)
    spent = generator.count * times["draft_forward_s"] + times["verify_forward_s"]
    return tokens * alone_step / spent, {"alone_step_s": alone_step} | times


def _shown(times: dict[str, Any]) -> str:
    return ", ".join(f"{name.removesuffix('_s')} {1e3 * value:.2f} ms" for name, value in times.items() if value)


def _bounds(generator: Any, times: dict[str, Any]) -> list[str]:
    """Where a round's time goes: what its parts take by themselves, and its kernels."""
    parts = generator.count * times["draft_forward_s"] + times["verify_forward_s"]
    session = generator.sessions[1]

    def work() -> None:
        generator._rewind(session.state)
        session.step()

    return [
        f"a round takes {1e3 * times['round_s']:.2f} ms, its forwards by themselves {1e3 * parts:.2f} ms",
        f"verifying {generator.count + 1} tokens takes {times['verify_forward_s'] / times['alone_step_s']:.2f} steps",
        *tried(lambda: kernels(work, generator.device)),
    ]

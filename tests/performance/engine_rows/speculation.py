"""Speculation of an 8B target with a 1B draft, in bf16 and in 4 bits, at a forced acceptance, against the target alone.

Both forms of the draft are given the same acceptance: what 4 bits cost in agreement is not in these rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch

from scripts.engine.rounds import drawn
from tests.performance.engine_rows import models
from tests.performance.engine_rows.bounds import kernels, tried
from tests.performance.engine_rows.models import Place
from tests.performance.engine_rows.one import milliseconds
from tests.performance.engine_rows.paired import Estimate, Figures, estimate, interleaved
from tests.performance.engine_rows.table import Row, measured

ACCEPTANCES = (0.7, 0.8, 0.9)
COUNTS, QUICK_COUNTS = (2, 3, 4, 5, 7), (3, 5)  # tokens drafted in a round
TRIALS = 5  # rounds that choose the best of them, before the timing
FORMS = ("bf16", "int4")  # of the draft's linear layers
Trials = dict[float, dict[str, dict[int, list[float]]]]  # seconds by acceptance, form and drafted tokens


def rows(place: Place) -> Iterator[Row]:
    """A row an acceptance, each form of the draft with its own best number of drafted tokens."""
    target = models.random_model(models.config_of(models.EIGHT), place.device, torch.bfloat16)
    drafts = {form: _draft(place, form) for form in FORMS}
    prompts = [models.prompt(vocabulary=target.config.vocab_size, seed=seed) for seed in range(max(place.rounds, 20))]
    alone = models.engine(target, [[prompts[0]]])
    alone.generate([prompts[0]])
    alone_step = alone.forward_times()["target_forward_s"]
    trials: Trials = {share: {form: {} for form in FORMS} for share in ACCEPTANCES}
    # One at a time: each fuses the target's weights anew.
    for form, count in itertools.product(FORMS, QUICK_COUNTS if place.quick else COUNTS):
        generator = _speculative(target, drafts[form], prompts[0], count)
        for share in ACCEPTANCES:
            _force(generator, share)
            trials[share][form][count] = interleaved({"rounds": _turns(generator, prompts)}, TRIALS)["rounds.whole"]
        del generator
        models.free()
    best = {share: tuple(_best(tried[form]) for form in FORMS) for share, tried in trials.items()}
    for counts in sorted(set(best.values())):
        sides = {
            form: _speculative(target, drafts[form], prompts[0], count)
            for form, count in zip(FORMS, counts, strict=True)
        }
        for share in ACCEPTANCES:
            if best[share] == counts:
                yield _row(place, sides, alone, alone_step, share, prompts, trials[share])
        del sides
        models.free()


def _draft(place: Place, form: str) -> Any:
    """The same weights in either form."""
    model = models.random_model(models.config_of(models.ONE), place.device, torch.bfloat16, seed=1)
    return model if form == "bf16" else models.stored(model, form)


def _best(trials: dict[int, list[float]]) -> int:
    return min(trials, key=lambda count: sum(trials[count]))


def _speculative(target: Any, draft: Any, prompt: list[int], count: int) -> Any:
    facet = {"draft": "draft", "tokens": count, "forced_acceptance": ACCEPTANCES[0]}
    return models.engine(target, [[prompt]], draft=draft, facets={"speculation": facet})


@torch.inference_mode()
def _force(generator: Any, share: float) -> None:
    """Another share of accepted tokens, in the tensor that the recorded work reads."""
    state = generator.sessions[1].state
    state.draws.copy_(drawn(state.count, share))


def _row(
    place: Place, sides: dict[str, Any], alone: Any, alone_step: float, share: float, prompts: list[list[int]],
    trials: dict[str, dict[int, list[float]]],
) -> Row:  # fmt: skip
    """The row of the form that gains more; its note has both, timed in the same rounds."""
    for generator in sides.values():
        _force(generator, share)
    turns = {form: _turns(generator, prompts) for form, generator in sides.items()}
    figures = interleaved({"alone": _turns(alone, prompts)} | turns, place.rounds)
    values = {form: estimate(figures, lambda m, form=form: m["alone.whole"] / m[f"{form}.whole"]) for form in sides}
    theories = {form: _theory(generator, share, alone_step) for form, generator in sides.items()}
    best = max(values, key=lambda form: values[form].value)
    note = "; ".join(
        [
            milliseconds(figures, "alone.whole"),
            *(_note(form, sides[form], values[form], figures, *theories[form]) for form in sides),
        ]
    )
    raw = figures | {
        "trials": trials,
        "judged": best,
        "drafts": {
            form: {"count": sides[form].count, "theory": theory, "times": times, "estimate": asdict(values[form])}
            for form, (theory, times) in theories.items()
        },
    }
    return measured(f"speculation_{share}", values[best], note, raw, lambda: _bounds(sides[best], theories[best][1]))


def _note(form: str, generator: Any, value: Estimate, figures: Figures, theory: float, times: dict[str, Any]) -> str:
    """What one form of the draft reaches, and of what that is made."""
    accepted = sum(figures[f"{form}.accepted"]) / max(1, sum(figures[f"{form}.judged"]))
    return (
        f"{form} draft {value.value:.2f}x ({value.low:.2f} to {value.high:.2f}): k = {generator.count}, {accepted:.2f} "
        f"of the judged tokens accepted, in theory {theory:.2f}x, "
        f"{milliseconds(figures, f'{form}.whole', f'{form}.first')}, {_shown(times)}"
    )


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

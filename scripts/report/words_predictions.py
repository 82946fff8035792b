"""Predictions that failed here, in words, with what the measured facts say of the reason."""

from typing import Any

from scripts.report import numbers, words

FACTS = {
    "verification": "verifying the drafted tokens takes {value} target passes, not one",
    "round": "a round takes {value} the time of its passes",
    "prompt": "{value} of a request passes before its first token, which drafting does not touch",
    "host": "{value} of its time passes outside of operators and kernels",
    "cache": "weights this small can stay in the processor's cache",
    "shared": "its {value} processes share one processor, which the prediction counts for each",
    "communication": "{value} of its time goes to other devices",
    "unbound": "neither bandwidth ({value}) nor arithmetic ({other}) is near its peak, as the roofline has it",
    "parent_unbound": "its parent is near the peak of neither bandwidth ({value}) nor arithmetic ({other})",
}
COUNTS = {"shared"}
PASSES = {"verification", "round"}


def failures(technique: dict[str, Any], *kinds: str) -> list[str]:
    """Return a sentence for each prediction of these kinds that failed here; of all kinds where none is given."""
    found = technique.get("predictions") or []
    return [_sentence(entry) for entry in found if not entry["holds"] and (not kinds or entry["kind"] in kinds)]


def _sentence(entry: dict[str, Any]) -> str:
    predicted, measured = entry["predicted"], entry["measured"]
    beyond = f"more than {numbers.fixed(100 * entry['tolerance'], 0)}% off"
    if entry["kind"] == "roofline_time":
        times = [words.amount(each["value"], numbers.TIME) for each in (predicted, measured)]
        told = f"The roofline's time failed here: {times[0]} a headline predicted, {times[1]} measured, {beyond}"
    else:
        model = "model of speculation" if entry["kind"] == "speculation" else "roofline's speed-up"
        over = "its target alone" if entry["kind"] == "speculation" else "its parent"
        between = words.between(measured, words.times)
        if entry["kind"] == "speculation" and entry["opposite"]:
            beyond = "on the other side of break-even"
        told = (
            f"The {model} failed here: {words.times(predicted['value'])} the speed of {over} predicted, "
            f"{words.times(measured['value'])}{between} measured, {beyond}"
        )
    return f"{told}; {_reason(entry['facts'])}."


def _reason(facts: list[dict[str, Any]]) -> str:
    """Return the likely reason by what was measured, or that nothing that was measured names one."""
    if not facts:
        return "nothing that was measured names the reason"
    return f"likely reason: {words.listed([FACTS[fact['fact']].format(**_texts(fact)) for fact in facts])}"


def _texts(fact: dict[str, Any]) -> dict[str, str]:
    if fact["fact"] in COUNTS:
        return {"value": str(fact["value"])}
    show = words.times if fact["fact"] == "round" else _plain if fact["fact"] in PASSES else numbers.share
    return {key: show(fact[key]) for key in ("value", "other") if fact.get(key) is not None}


def _plain(value: float) -> str:
    return numbers.fixed(value, 2)

"""What two studies differ in beside their figures: machine, libraries, code, data, models, settings, runs."""

from collections.abc import Iterator
from typing import Any

from scripts.comparison.studies.reading import Study, number
from scripts.foundation.text import listed
from scripts.metrics import machines

GROUPS = ("Machine", "Libraries", "Code", "Data", "Models", "Settings", "Runs", "What the machine could do")
CALIBRATED = {
    "read_bytes_per_s": "reading memory",
    "copy_bytes_per_s": "copying memory",
    "matmul_flops_per_s": "matrix products",
}
NOTED = 0.05
"""Readings of the machine's speed that lie closer to each other than this share of them are not worth a line."""
NONE = "not recorded"
# Said technique by technique, or of no effect on figures.
LEFT_OUT = ("techniques", "select", "title", "scenarios", "ranking", "references", "report", "comparison", "plugins")

Pairs = dict[str, str]


def differences(old: Study, new: Study) -> list[dict[str, Any]]:
    """Return what differs, by group.

    Returns:
        Per group its ``title`` and its ``entries``, each with ``what``, ``old`` and ``new`` as text; none where
        nothing differs.
    """
    found = []
    for title, described in zip(GROUPS, _GROUPS, strict=True):
        sides = [described(study) for study in (old, new)]
        absent = "not used" if title == "Models" else NONE
        entries = [
            {"what": what, "old": sides[0].get(what, absent), "new": sides[1].get(what, absent)}
            for what in dict.fromkeys([*sides[0], *sides[1]])
            if sides[0].get(what) != sides[1].get(what)
        ]
        found.append({"title": title, "entries": entries})
    more = {"Code": _changed_code, "What the machine could do": _speeds}
    for group in found:
        group["entries"] += more[group["title"]](old, new) if group["title"] in more else []
    return found


def other_machine(old: Study, new: Study) -> str | None:
    """Say what makes the machines different ones: processor, GPUs or their power limit; None where they are alike.

    Driver, kernel and libraries are what an upgrade changes on one and the same machine.
    """
    ours, theirs = (machines.signature({"machine": study.get("machine")}) for study in (new, old))
    found = ["the processor"] if ours["processor"] != theirs["processor"] else []
    found += ["the GPU"] if _hardware(ours["GPU"]) != _hardware(theirs["GPU"]) else []
    on = [study.get("on_gpus") for study in (new, old)]
    found += ["where the models ran (processor or GPU)"] if None not in on and on[0] != on[1] else []
    return listed(found) or None


def asked_otherwise(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, str]]:
    """Return in which settings a technique differs between two studies; empty where it was asked the same."""
    sides = [
        dict(_flat({"settings": each.get("settings") or {}, "generation": each.get("generation") or {}}))
        for each in (old, new)
    ]
    return [
        {"what": key.partition(".")[2], "old": sides[0].get(key, "none"), "new": sides[1].get(key, "none")}
        for key in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(key, "none") != sides[1].get(key, "none")
    ]


def _hardware(gpus: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return GPUs as a signature has them, without their drivers."""
    return {(name, *rest) for name, _, *rest in gpus}


def _machine(study: Study) -> Pairs:
    machine = study.get("machine") or {}
    found = {
        "processor": machine.get("cpu_model"),
        "cores": machine.get("cpu_count"),
        "system": machine.get("platform"),
    }
    gpus = machine.get("gpus") or []
    kinds = [str(gpu.get("name")) for gpu in gpus]
    found["GPUs"] = (
        ", ".join(f"{kinds.count(kind)} \N{MULTIPLICATION SIGN} {kind}" for kind in dict.fromkeys(kinds)) or "none"
    )
    for key, title in (("driver", "GPU driver"), ("power_limit_w", "power limit of the GPUs, W")):
        values = dict.fromkeys(_said(gpu[key]) for gpu in gpus if gpu.get(key) is not None)
        if values:
            found[title] = ", ".join(values)
    return {what: _said(value) for what, value in found.items() if value is not None}


def _libraries(study: Study) -> Pairs:
    return dict(_flat(study.get("versions") or {}))


def _code(study: Study) -> Pairs:
    found = [run.get("provenance") or {} for run in _runs(study)]
    revisions = dict.fromkeys(
        f"{_said(entry['git_revision'])[:12]}{' with changes' if entry.get('git_modified') else ''}"
        for entry in found
        if entry.get("git_revision")
    )
    return {"revision": ", ".join(revisions)} if revisions else {}


def _changed_code(old: Study, new: Study) -> list[dict[str, str]]:
    """Return whose runs used other code; the code of a run is that of its stage and of its technique's facets."""
    sides = [{t["name"]: _digests(t) for t in study["techniques"] if _digests(t)} for study in (old, new)]
    both = [name for name in sides[1] if name in sides[0]]
    changed = [name for name in both if sides[0][name] != sides[1][name]]
    if not changed:
        return []
    which = "all" if len(changed) == len(both) else ", ".join(changed)
    return [{"what": "code of the runs", "old": "", "new": f"other code for {which}"}]


def _digests(technique: dict[str, Any]) -> set[str]:
    found = [(run.get("provenance") or {}).get("code_digest") for run in technique.get("runs") or []]
    return {_said(digest) for digest in found if digest is not None}


def _data(study: Study) -> Pairs:
    manifest = study["dataset"].get("manifest") or {}
    digest = (study.get("provenance") or {}).get("dataset_digest")
    found = {
        "evaluation set": digest,
        "source": manifest.get("source"),
        "digest of the source's rows": manifest.get("digest"),
        "prompts": study["dataset"]["samples"],
    }
    return {what: _said(value) for what, value in found.items() if value is not None}


def _models(study: Study) -> Pairs:
    pairs: dict[str, dict[str, None]] = {}
    for technique in study["techniques"]:
        for model in (technique.get("models") or {}).values():
            if model:
                parts = [model.get(key) for key in ("source", "parameters", "dtype", "digest")]
                said = ", ".join(_said(part)[:40] for part in parts if part is not None)
                pairs.setdefault(_said(model.get("name")), {})[said] = None
    return {name: "; ".join(said) for name, said in pairs.items()}


def _settings(study: Study) -> Pairs:
    given = study.get("configuration") or {}
    found = dict(_flat({key: part for key, part in given.items() if key not in LEFT_OUT}))
    if study.get("prompt") is not None:
        found = {"prompt": study["prompt"]} | {key: said for key, said in found.items() if key != "generation.prompt"}
    beside = (study.get("timed_beside") or {}).get("technique")
    return found | ({"timed beside": _said(beside)} if beside else {})


def _run_counts(study: Study) -> Pairs:
    counts = sorted({technique.get("run_count") or 0 for technique in study["techniques"]})
    threads = sorted({_said(t["threads"]) for t in study["techniques"] if t.get("threads") is not None})
    found = {"runs of each technique": "/".join(map(str, counts))}
    return found | ({"CPU threads": "/".join(threads)} if threads else {})


def _speeds(old: Study, new: Study) -> list[dict[str, str]]:
    """Return the calibrations that lie apart, as means over all runs, before and after each."""
    found = []
    for key, what in CALIBRATED.items():
        means = [_mean(study, key) for study in (old, new)]
        if None not in means and abs(means[1] / means[0] - 1) >= NOTED:
            said = [f"{mean / 1e9:,.3g} G{'FLOP' if 'flops' in key else 'B'}/s" for mean in means]
            found.append({"what": what, "old": said[0], "new": f"{said[1]} ({100 * (means[1] / means[0] - 1):+.0f}%)"})
    return found


def _mean(study: Study, key: str) -> float | None:
    readings = [reading or {} for run in _runs(study) for reading in (run.get("calibration") or {}).values()]
    known = [value for reading in readings if (value := number(reading.get(key))) is not None]
    return sum(known) / len(known) if known else None


def _runs(study: Study) -> Iterator[dict[str, Any]]:
    for technique in study["techniques"]:
        yield from technique.get("runs") or []


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each leaf of a JSON value under its dotted key, as text."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _flat(part, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, _said(value)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_said(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_said, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


_GROUPS = (_machine, _libraries, _code, _data, _models, _settings, _run_counts, lambda study: {})

"""Where the figures come from: code, data, machine readings, conditions and the order of the runs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from scripts.report import doubts, numbers, rows, text
from scripts.report.section import Section

Pairs = list[tuple[str, str]]
Runs = list[tuple[str, dict[str, Any]]]
HEADS = (
    "Technique", "Run", "Started (UTC)", "Took", "Read, GB/s", "Copy, GB/s", "Matrix product, GFLOP/s",
    "Other programs", "CPU taken away", "Clocks held down", "Load before",
)  # fmt: skip
INTERLEAVED = {True: "yes", False: "no", None: "not known"}
SHARES = {"foreign_cpu_share": "Other programs on the CPU", "steal_share": "CPU taken away by the hypervisor"}
CALIBRATED = (
    ("read_bytes_per_s", "read", "GB/s"),
    ("copy_bytes_per_s", "copy", "GB/s"),
    ("matmul_flops_per_s", "matrix product", "GFLOP/s"),
)
METHODS = {"nvml": "the GPU's energy counter (NVML)", "rapl": "the processor package's energy counter (RAPL)"}


def trust(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the doubts, then the order of the runs, provenance, calibration, conditions, energy, and a line a run."""
    labels = rows.labels(comparison)
    runs = list(_runs(comparison["techniques"]))
    order = comparison["order"]
    return {
        "doubts": doubts.summary(comparison),
        "interleaved": INTERLEAVED[order["interleaved"]],
        "note": order["note"],
        "blocks": [", ".join(labels.get(name, name) for name in block) for block in order["blocks"]],
        "groups": [
            {"title": "Code and data", "pairs": _sources(comparison, runs)},
            {"title": "What the machine could do", "pairs": _calibration(runs)},
            {"title": "Conditions while measuring", "pairs": _conditions(runs, comparison["machine"])},
            {"title": "Energy", "pairs": _energy(comparison["techniques"])},
        ],
        "heads": HEADS,
        "runs": [_line(label, run) for label, run in sorted(runs, key=lambda pair: pair[1].get("started_at") or "")],
    }


FEW = 4
"""So many different values are listed; the code of a technique, for one, is that of its facets."""


def _runs(techniques: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for technique in techniques:
        for run in technique["runs"] or []:
            yield technique["label"], run


def _sources(comparison: dict[str, Any], runs: Runs) -> Pairs:
    """Return revisions and digests; where runs differ in one, how many have which."""
    found = [run.get("provenance") or {} for _, run in runs]
    pairs = [
        ("git revision", _counted([_revision(entry) for entry in found])),
        ("code digest", _counted([entry.get("code_digest") or "not recorded" for entry in found])),
        ("dataset digest", _counted([entry.get("dataset_digest") or "not recorded" for entry in found])),
    ]
    models: dict[str, list[str]] = {}
    for technique in comparison["techniques"]:
        for model in (technique["models"] or {}).values():
            if model:
                digest = text.shortened(str(model.get("digest") or "not recorded"), 17)
                known = models.setdefault(str(model.get("name")), [])
                known += [digest] if digest not in known else []
    return pairs + [(f"model {name}", ", ".join(digests)) for name, digests in models.items()]


def _revision(entry: dict[str, Any]) -> str:
    revision = entry.get("git_revision")
    if not revision:
        return "not recorded"
    changed = {True: ", with uncommitted changes", False: "", None: ", changes not known"}
    return revision + changed[entry.get("git_modified")]


def _counted(values: list[str]) -> str:
    counts = {value: values.count(value) for value in values}
    if len(counts) == 1:
        return values[0]
    if len(counts) > FEW:
        return f"{len(counts)} different ones, each run's own in comparison.json"
    return (
        "; ".join(f"{value} ({count} {'run' if count == 1 else 'runs'})" for value, count in counts.items())
        or "not recorded"
    )


def _readings(runs: Runs, key: str) -> list[float]:
    found = [(run.get("calibration") or {}).get(when) or {} for _, run in runs for when in ("before", "after")]
    return [reading[key] for reading in found if reading.get(key) is not None]


def _calibration(runs: Runs) -> Pairs:
    """Return the range of what each calibration reached before and after the runs."""
    pairs = []
    for key, name, unit in CALIBRATED:
        values = _readings(runs, key)
        if values:
            scale = numbers.Scale(unit, 1e9, numbers.digits_after_point(max(max(values) / 1e9, 1e-3), 3))
            pairs.append((name, f"{scale.interval(min(values), max(values))} {unit} per process"))
    dtypes = {
        reading.get("matmul_dtype")
        for _, run in runs
        for reading in (run.get("calibration") or {}).values()
        if isinstance(reading, dict)
    }
    if dtypes - {None}:
        pairs.append(("matrix product in", ", ".join(sorted(str(dtype) for dtype in dtypes - {None}))))
    return pairs or [("calibration", "not recorded")]


def _during(run: dict[str, Any]) -> dict[str, Any]:
    return (run.get("conditions") or {}).get("during") or {}


def _conditions(runs: Runs, machine: dict[str, Any] | None) -> Pairs:
    """Return the worst run of each share, and what was seen on GPUs."""
    pairs = []
    for key, title in SHARES.items():
        known = [(_during(run)[key], label, run) for label, run in runs if _during(run).get(key) is not None]
        if known:
            worst, label, run = max(known, key=lambda entry: entry[0])
            where = f" ({label}, run {run.get('run')})" if worst else ""
            pairs.append((title, f"at most {numbers.share(worst)}{where}"))
        else:
            pairs.append((title, "not readable here"))
    if machine and not machine.get("gpus"):
        return [*pairs, ("GPUs", "none in this machine")]
    reasons = sorted({reason for _, run in runs for reason in _during(run).get("throttle_reasons") or []})
    shared = [label for label, run in runs if _during(run).get("foreign_gpu_processes")]
    seen = any(_during(run) for _, run in runs)
    pairs.append(("GPU clocks held down", ", ".join(reasons).replace("_", " ") or _none(seen)))
    pairs.append(("Other programs on the GPUs", ", ".join(dict.fromkeys(shared)) or _none(seen)))
    return pairs


def _none(seen: bool) -> str:
    return "none seen" if seen else "not recorded"


def _energy(techniques: list[dict[str, Any]]) -> Pairs:
    """Return by which counter energy was read, or why it was not."""
    readings = [technique["energy"] or {} for technique in rows.ran(techniques)]
    methods = {reading.get("method") for reading in readings} - {None}
    pairs = [("read from", ", ".join(METHODS.get(method, str(method)) for method in sorted(methods)) or "nothing")]
    domains = {str(domain) for reading in readings for domain in reading.get("domains") or []}
    if domains:
        pairs.append(("domains", ", ".join(sorted(domains))))
    reasons = {reading.get("reason") for reading in readings} - {None}
    return pairs + [("why not", reason) for reason in sorted(reasons)]


def _line(label: str, run: dict[str, Any]) -> list[str]:
    """Return one run as text."""
    during, state = _during(run), (run.get("conditions") or {}).get("before") or {}
    load = ((state.get("cpu") or {}).get("load_average") or [None])[0]
    start, took = _span(run.get("started_at"), run.get("finished_at"))
    return [
        label,
        text.plain(run.get("run")),
        start,
        took,
        _before_after(run, "read_bytes_per_s"),
        _before_after(run, "copy_bytes_per_s"),
        _before_after(run, "matmul_flops_per_s"),
        numbers.share(during.get("foreign_cpu_share")),
        numbers.share(during.get("steal_share")),
        ", ".join(during.get("throttle_reasons") or []).replace("_", " ") or numbers.NOTHING,
        numbers.NOTHING if load is None else numbers.fixed(load, 1),
    ]


def _before_after(run: dict[str, Any], key: str) -> str:
    calibration = run.get("calibration") or {}
    found = [(calibration.get(when) or {}).get(key) for when in ("before", "after")]
    if None in found:
        return numbers.NOTHING
    decimals = numbers.digits_after_point(max(found[0] / 1e9, 1e-3), 3)
    return " \N{RIGHTWARDS ARROW} ".join(numbers.fixed(value / 1e9, decimals) for value in found)


def _span(start: str | None, end: str | None) -> tuple[str, str]:
    """Return when a run started, to the second, and how long it took; a time that can't be read stays as it is."""
    try:
        first = datetime.fromisoformat(start or "")
    except ValueError:
        return start or numbers.NOTHING, numbers.NOTHING
    shown = f"{first:%Y-%m-%d %H:%M:%S}"
    try:
        seconds = (datetime.fromisoformat(end or "") - first).total_seconds()
    except (ValueError, TypeError):
        return shown, numbers.NOTHING
    return shown, f"{numbers.fixed(seconds, 1)} s"


def short(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the doubts as sentences, and the flags of each technique."""
    flagged = [technique for technique in comparison["techniques"] if technique["flags"]]
    return {
        "sentences": doubts.summary(comparison)["sentences"],
        "flags": [
            {"label": technique["label"], "message": " ".join(flag["message"] for flag in technique["flags"])}
            for technique in flagged
        ],
    }


SECTION = Section("trust", "Trust", 140, trust, short=short)

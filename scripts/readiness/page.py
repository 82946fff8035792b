"""What is printed of a study's readiness."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from scripts.foundation import plugins, text
from scripts.foundation.errors import StudyError
from scripts.readiness import needs, place, techniques
from scripts.readiness.place import Machine, gb
from scripts.readiness.techniques import Verdict
from scripts.study import configuration, layers, references, results_folder
from scripts.study.plan import Plan
from scripts.terminal.progress import about

WIDTH = 110


def lines(files: Sequence[str], options: Sequence[str]) -> tuple[list[str], bool]:
    """All lines, and whether everything can run.

    Args:
        files: of ``--configfile``.
        options: of ``--config``.

    Raises:
        StudyError: the study is wrong; one sentence that names the place.
    """
    plan = _plan(files, options)
    machine = place.found(plan.config["measurement"]["device"])
    problems = _of_all(plan)
    obstacles = _obstacles(plan)
    verdicts = [techniques.judge(plan, each, machine, obstacles) for each in plan.techniques.values()]
    unable = [verdict for verdict in verdicts if verdict.problem]
    able = [verdict for verdict in verdicts if not verdict.problem]
    need = needs.of_study(plan, machine, verdicts)
    if need.disk_bytes > machine.disk_bytes:
        problems.append(f"The study needs about {gb(need.disk_bytes)} of disk, and {gb(machine.disk_bytes)} are free.")
    found = [
        f"Machine: {machine.words()}.",
        _study(plan, machine),
        *plan.left_out,
        "",
        *[f"Problem: {problem}" for problem in problems],
        *_group(f"Can run ({len(able)} of {len(verdicts)})", able),
        *_unable(unable),
        *[f"May fail: {verdict.name} {verdict.doubt}." for verdict in able if verdict.doubt],
        *_crowded(plan, machine),
        *([""] if able else []),
        *(_takes(need) if able else []),
    ]
    return [text.one_line(line) for each in found for line in _wrapped(each)], not (problems or unable)


def _plan(files: Sequence[str], options: Sequence[str]) -> Plan:
    study = layers.read([Path(file) for file in files], options)
    try:
        plugins.use(study.config.get("plugins") or [])
        resolved = {technique.name: technique for technique in configuration.check(study.config)}
        return Plan(study.config, resolved, references.read(study.config["references"]), left_out=tuple(study.left_out))
    except StudyError as error:
        raise StudyError(study.explain(error)) from None


def _of_all(plan: Plan) -> list[str]:
    """What keeps every technique from running, or from being scored."""
    found = []
    judges = {"semantic": configuration.encoder, "entailment": configuration.entailment,
              "bertscore": configuration.bertscore}  # fmt: skip
    for key, read in judges.items():
        judge = read(plan.config)
        if judge and (said := judge.options.obstacle(f"quality.{key}")):
            found.append(said)
    try:
        results_folder.check(Path("results"))
    except StudyError as error:
        found.append(str(error))
    missing = place.missing_libraries()
    if missing:
        found.append(f"Not installed: {', '.join(missing)}; run `make setup`, or install envs/requirements.txt.")
    return found


def _obstacles(plan: Plan) -> dict[str, str]:
    used = configuration.models_used(list(plan.techniques.values()))
    found = {name: configuration.model(plan.config, name).options.obstacle(f"models.{name}") for name in used}
    return {name: said for name, said in found.items() if said}


def _study(plan: Plan, machine: Machine) -> str:
    runs = len(plan.runs)
    where = (
        f"on {len(machine.devices)} GPU{'s' if len(machine.devices) > 1 else ''}" if machine.devices else "on the CPU"
    )
    count, samples = len(plan.techniques), plan.config["dataset"]["samples"]
    return (
        f"Study: {' '.join(plan.config['title'].split())}; {count} technique{'s' * (count != 1)}, {runs} "
        f"run{'s' * (runs != 1)} of each, {samples} sample{'s' * (samples != 1)}, {where}."
    )


def _crowded(plan: Plan, machine: Machine) -> list[str]:
    """Techniques whose processes have more threads together than there are cores."""
    if machine.devices:
        return []
    names = [each.name for each in plan.techniques.values() if each.processes * plan.threads > machine.cores]
    if not names:
        return []
    cores = f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
    return [
        f"Share {cores} among more threads, and may be slow by that: {', '.join(names)}; lower measurement.threads "
        f"({plan.threads} for each process), or set it to 0."
    ]


def _group(title: str, verdicts: list[Verdict]) -> list[str]:
    return [f"{title}: {', '.join(verdict.name for verdict in verdicts)}."] if verdicts else []


def _unable(verdicts: list[Verdict]) -> list[str]:
    """Techniques that can't run, those with the same reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        reasons.setdefault((verdict.problem or "", verdict.remedy), []).append(verdict.name)
    return [
        f"Can't run: {', '.join(names)}. {problem.rstrip('.')}.{f' To do: {remedy}.' if remedy else ''}"
        for (problem, remedy), names in reasons.items()
    ]


def _takes(need: needs.Needs) -> list[str]:
    memory = f", {gb(need.bytes)} of memory at its peak" if need.bytes else ""
    guess = "estimated from the models' sizes and the number of samples, which may be wrong by a factor of three"
    rests = f"that of earlier runs here for {need.measured} of {need.jobs} jobs; the others are {guess}"
    if need.measured in (0, need.jobs):
        rests = "that of earlier runs here" if need.measured else f"{guess}: nothing has run here yet"
    fetched = f" {text.listed(need.fetched)} will be downloaded into the hub's cache first." if need.fetched else ""
    return [
        f"The whole study from nothing: about {about(need.seconds)}{memory}, {gb(need.disk_bytes)} of disk.{fetched}",
        f"The time is {rests}. Memory and disk are computed from the models' shapes.",
    ]


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) or [""]

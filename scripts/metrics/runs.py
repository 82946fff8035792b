"""Reading of the runs of a technique, natural and fixed mode; :mod:`scripts.metrics.samples` checks each line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.metrics import samples as lines
from scripts.metrics.answers import reader
from scripts.metrics.answers.reader import How
from scripts.metrics.samples import STOP_REASONS, Sample

__all__ = ["STATUSES", "STOP_REASONS", "Run", "Sample", "apart_reason", "is_random", "read_run", "unscored_reason"]

STATUSES = ("ok", "unsupported", "out_of_memory", "invalid", "failed")


@dataclass(frozen=True)
class Run:
    """One run: its run.json (``info``) and its samples, in evaluation order.

    Attributes:
        path: its folder.
        info: the content of run.json.
        samples: the natural mode, every prompt of the evaluation set; generation stops where the model stops.
        fixed: the fixed mode, the first prompts of the set with the same number of new tokens each; [] where it is off.
    """

    path: Path
    info: dict[str, Any]
    samples: list[Sample]
    fixed: list[Sample] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the run has figures at all."""
        return self.info["status"] == "ok"

    @property
    def settings(self) -> dict[str, Any]:
        """The technique's facets."""
        return self.info.get("settings") or {}

    def mode(self, fixed: bool) -> list[Sample]:
        """The samples of one of the two modes."""
        return self.fixed if fixed else self.samples

    def passes(self, fixed: bool = False) -> list[list[Sample]]:
        """The samples of a mode by draw: a prompt has one in each pass, in the same place."""
        return lines.passes(self.mode(fixed))

    @property
    def draws(self) -> int:
        """How many answers each prompt of the natural mode has."""
        return len(self.passes())


def read_run(
    directory: str | Path, technique: str, ids: list[str], fixed: bool = True, answer: How = reader.AUTO
) -> Run:
    """Read ``run.json``, ``samples.jsonl`` and ``fixed.jsonl`` of one run.

    Args:
        directory: the folder of the run.
        technique: the name that the run must carry.
        ids: the ids of the evaluation set, in order; the samples must have exactly these.
        fixed: whether to read the fixed mode too.
        answer: the study's ``generation.answer``, by which headlines are read from what the model wrote.

    Raises:
        StudyError: a file is missing, damaged, of another technique or does not match the evaluation set.
    """
    directory = Path(directory)
    path = directory / "run.json"
    info = files.read_json(path)
    if not isinstance(info, dict) or info.get("status") not in STATUSES:
        raise StudyError(f"{path}: 'status' is none of {', '.join(STATUSES)}; delete the file and run again.")
    if info.get("technique") != technique:
        raise StudyError(f"{path} is a run of {info.get('technique')!r}, not of {technique!r}; pass the right folder.")
    if info["status"] != "ok":
        return Run(directory, info, [])
    if not isinstance(info.get("memory"), dict) or not isinstance(info.get("models"), dict):
        raise StudyError(f"{path}: 'memory' or 'models' is missing from a run that is ok; delete it and run again.")
    source = directory / "samples.jsonl"
    samples = lines.read_samples(source, answer)
    lines.check_ids(source, samples, ids)
    asked = (info.get("generation") or {}).get("draws", 1)
    if samples and len(samples[0].draws) + 1 != asked:
        raise StudyError(
            f"{source} has {len(samples[0].draws) + 1} answers to a prompt and run.json says {asked!r}; run the "
            "technique again."
        )
    return Run(directory, info, samples, _fixed(directory / "fixed.jsonl", info, ids) if fixed else [])


def is_random(run: Run, role: str = "target") -> bool:
    """Whether a model of the run has random weights, so that its text is meaningless."""
    return bool((run.info["models"].get(role) or {}).get("random_weights"))


def apart_reason(run: Run) -> str | None:
    """Why a pass along the references says nothing of what the run's technique does, or None."""
    cache = run.settings.get("kv_cache")
    if isinstance(cache, dict) and cache.get("dtype"):
        return "not measured: the pass along the references keeps no cache, so what a quantised one does is not in it"
    return None


def unscored_reason(run: Run) -> str | None:
    """Why the run's text is not scored, or None."""
    if is_random(run):
        return "not measured: random weights"
    if run.settings.get("prompt_tokens"):
        return "not measured: prompts cut to a length ask for no headline"
    return None


def _fixed(source: Path, info: dict[str, Any], ids: list[str]) -> list[Sample]:
    """Read the fixed mode and check it against what run.json says of it."""
    samples = lines.read_samples(source)
    modes = info.get("modes")
    if modes is not None and not isinstance(modes, dict):
        raise StudyError(f"{source.with_name('run.json')}: 'modes' is not an object; delete the run and make it again.")
    if len(samples) > len(ids):
        raise StudyError(
            f"{source} has {len(samples)} lines and the evaluation set {len(ids)}; run the technique again."
        )
    lines.check_ids(source, samples, ids[: len(samples)])
    tokens = samples[0].new_tokens if samples else 0
    if modes is not None:
        said = modes.get("fixed") or {"samples": 0, "new_tokens": 0}
        if said.get("samples") != len(samples):
            raise StudyError(
                f"{source} has {len(samples)} lines and run.json says {said.get('samples')!r}; run the technique again."
            )
        tokens = said.get("new_tokens") if samples else 0
    for line, sample in enumerate(samples, start=1):
        if sample.stop_reason != "length":
            raise StudyError(
                f"{source}, line {line}: 'stop_reason' is {sample.stop_reason!r}, and only 'length' ends a request of "
                "the fixed mode; delete the run and make it again."
            )
        if sample.new_tokens != tokens or not tokens:
            raise StudyError(
                f"{source}, line {line}: {sample.new_tokens} new tokens where every request of the fixed mode has "
                f"{tokens!r}; delete the run and make it again."
            )
    return samples

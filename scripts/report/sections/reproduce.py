"""How to make these figures again: the commands, as far as this report knows them, and what it does not know."""

import json
import re
from typing import Any

from scripts.report import rows, text
from scripts.report.section import Section
from scripts.report.text import Safe

SNAKEMAKE = ".venv/bin/snakemake --cores {cores} --resources gpu={gpus}"
CORES, GPUS = 4, 4
"""The numbers of the documented command; a study does not keep those that it was given."""


def reproduce(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the commands to make the study again and to run one technique again, with what must be known of them.

    Returns:
        ``setup`` and ``one``: lines of shell; ``notes``: sentences; ``versions``: library and version; ``technique``:
        the label of the one that ``one`` runs again, empty where nothing ran; ``configuration``: the study as JSON,
        empty where the comparison does not hold it.
    """
    revisions, modified = _revisions(comparison)
    gpus = len((comparison["machine"] or {}).get("gpus") or [])
    configuration = comparison.get("configuration")
    laid_over = " --configfile study.json" if configuration else ""
    snakemake = SNAKEMAKE.format(cores=CORES, gpus=gpus or GPUS) + laid_over
    example = _example(comparison)
    return {
        "setup": _setup(revisions, snakemake),
        "configuration": json.dumps(configuration, indent=2, ensure_ascii=False) if configuration else "",
        "notes": _notes(revisions, modified, gpus, bool(configuration)),
        "technique": example["label"] if example else "",
        "one": _one(example, snakemake) if example else [],
        "versions": text.flattened(comparison["versions"] or {}),
    }


def _revisions(comparison: dict[str, Any]) -> tuple[list[str], set[bool | None]]:
    """Return the revisions that runs were made at, and whether files differed from them."""
    runs = [run.get("provenance") or {} for t in comparison["techniques"] for run in t["runs"] or []]
    found = [entry for entry in runs if entry.get("git_revision")]
    return list(dict.fromkeys(entry["git_revision"] for entry in found)), {e.get("git_modified") for e in found}


def _setup(revisions: list[str], snakemake: str) -> list[str]:
    checkout = [f"git checkout {_argument(revisions[-1])}"] if revisions else []
    return [
        "git clone <this repository's address> udaciheadline",
        "cd udaciheadline",
        *checkout,
        "make setup",
        snakemake,
    ]


def _argument(revision: str) -> str:
    """Return a revision as an argument of a command; one that is no plain word is not put into a command."""
    return revision if revision.isalnum() and revision.isascii() else "<the revision>"


def _notes(revisions: list[str], modified: set[bool | None], gpus: int, configured: bool) -> list[str]:
    notes = []
    if not revisions:
        notes.append("The revision of the code is not known: the runs were not made in a git checkout.")
    elif len(revisions) > 1:
        notes.append(
            f"The runs were made at {len(revisions)} revisions, one of which stands here; Code and data has them all, "
            "with the digests of the code that each run used."
        )
    if True in modified:
        notes.append(
            "Files differed from that revision when runs were made, so a checkout alone may not give the same."
        )
    elif None in modified and revisions:
        notes.append("Whether files differed from that revision is not known.")
    notes += [
        "study.json is the study's configuration, which this file carries (below); paths in it are those of the "
        "machine that it was made on."
        if configured
        else "This report does not hold which study was laid over config/config.yaml. If one was, add "
        "--configfile config/studies/<study>.yaml to the command, or STUDY=config/studies/<study>.yaml to make report.",
        "It does not hold how many cores the command was given: "
        + ("choose as many as the machine has." if gpus else "without a GPU, each run takes all of them by itself."),
        "On the same kind of machine, with the same libraries, texts and scores are expected to come out the same; "
        "times only about as near as the runs here lie to each other.",
    ]
    return notes


def _example(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return the technique that the answer names first, or the first that ran."""
    ran = rows.ran(comparison["techniques"])
    return next((t for t in ran if t["name"] == comparison["answer"]["fastest"]), ran[0] if ran else None)


def _one(technique: dict[str, Any], snakemake: str) -> list[str]:
    name = technique["name"] if re.fullmatch("[A-Za-z0-9_]+", technique["name"]) else "<technique>"
    return [f"rm -r results/generations/{name}", snakemake]


def short(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the commands and the notes."""
    again = reproduce(comparison)
    return {"commands": [Safe(line) for line in again["setup"]], "notes": again["notes"]}


SECTION = Section("reproduce", "Reproduce", 160, reproduce, within="trust", short=short)

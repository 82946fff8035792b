"""Full disks, limits, wrong clocks, second calls, dying workers: a row or a sentence, and the next call completes."""

import re
import shutil
from pathlib import Path

from tests.faults import environments, killed_study
from tests.faults.campaign import Campaign
from tests.workflow.project import Outcome, Project


def wrong_with(outcome: Outcome) -> str | None:
    """What a person should not see, or what is missing, in the output of a call that met a fault."""
    if "Traceback" in outcome.text or re.search(r"^\s+File \".*\", line", outcome.text, re.MULTILINE):
        return "a traceback"
    if outcome.status != 0 and not outcome.errors:
        return "no sentence"
    # A fault that Python or a library names by its class is none that anybody foresaw.
    unforeseen = [each for each in outcome.errors if re.search(r"\b[A-Z]\w*(Error|Exception)\b", each)]
    return f"unforeseen: {unforeseen[0]}" if unforeseen else None


def one(campaign: Campaign, fault, finished: Project, folder: Path) -> str | None:
    """Let one call meet a fault, and the next complete; returns what was wrong."""
    name = fault.__name__.replace("_", " ")
    project = finished.copy(folder)
    try:
        for _ in range(campaign.random.randint(1, 3)):
            killed_study.lose(project, campaign.random)
        outcome = fault(project, campaign.random)
        campaign.count(f"{name}: {'completed' if outcome.status == 0 else 'said so'}")
        said = wrong_with(outcome)
        (folder.parent / f"{folder.name} of {name}.txt").write_text(outcome.text, encoding="utf-8")
        killed_study.wait_for_none(project)
        project.study = finished.study
        killed_study.finish(project)
        assert project.plan() == set(), name
        for compared in (killed_study.tokens, killed_study.scores):
            assert compared(project) == compared(finished), name
        # A model that was lost is not made again where nothing that is missing needs it.
        assert killed_study.weights(project).items() <= killed_study.weights(finished).items(), name
        assert killed_study.halves(project) == [], name
        return said and f"{name}: {said}"
    except environments.Skip as reason:
        campaign.count(f"{name}: skipped")
        return print(f"skipped {name}: {reason}")
    except AssertionError as error:
        return f"{name}: the next call: {str(error)[-1500:]}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_environment(campaign: Campaign, tmp_path: Path) -> None:
    finished = environments.create(tmp_path / "finished")
    finished.environment["TMPDIR"] = str(tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()
    killed_study.finish(finished)
    wrong = []
    for number in campaign.rounds(10 * len(environments.FAULTS)):
        fault = environments.FAULTS[number % len(environments.FAULTS)]
        if said := one(campaign, fault, finished, tmp_path / f"round {number}"):
            print(said, flush=True)
            if fault in environments.KNOWN:
                campaign.count("calls not continued, as is known")
            else:
                wrong.append(said)
    campaign.count("calls with a traceback, without a sentence or not continued", len(wrong))
    assert not wrong, "\n".join(wrong)

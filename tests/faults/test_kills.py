"""SIGKILL, SIGTERM and SIGINT at random moments, to any process of a study; the same command then completes it."""

from pathlib import Path

from scripts.inference import leases
from tests.faults import killed_study
from tests.faults.campaign import Campaign


def hit_and_finish(campaign: Campaign, folder: Path, kills: int, mean_s: float) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    undisturbed = killed_study.create(folder / "undisturbed")
    undisturbed.environment["TMPDIR"] = str(scratch)
    killed_study.finish(undisturbed)
    project = undisturbed.copy(folder / "project")
    wrong = killed_study.campaign_of(campaign, project, kills, mean_s)
    campaign.count("calls that left a process or a lock", len(wrong))
    killed_study.finish(project)
    killed_study.wait_for_none(project)
    assert project.plan() == set()
    for compared in (killed_study.tokens, killed_study.scores):
        assert compared(project) == compared(undisturbed)
        assert compared(project)
    # A model that was lost is not made again where nothing that is missing needs it.
    assert killed_study.weights(project).items() <= killed_study.weights(undisturbed).items()
    assert killed_study.halves(project) == []
    assert not list(scratch.glob("udaciheadline-run-*"))
    locks = scratch / "udaciheadline-cpu-leases"
    names = [path.stem for path in locks.glob("*.lock")]
    if names:
        with leases.try_lease(names, len(names), locks) as free:
            assert free == names
    assert not wrong, "\n".join(wrong)


def test_kills(campaign: Campaign, tmp_path: Path) -> None:
    hit_and_finish(campaign, tmp_path, 200, 3.5)

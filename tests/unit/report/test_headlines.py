import pytest

from scripts.report import doubts
from scripts.report.sections import headlines as headlines_view
from scripts.report.sections import reproduce as reproduce_view

ROW = {
    "id": "a",
    "category": "NEWS",
    "summary": "A summary.",
    "reference": "A dog barks",
    "texts": [
        {"text": "A dog barks", "rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0, "rougeLsum": 1.0},
        {"text": "", "rouge1": None, "rouge2": None, "rougeL": None, "rougeLsum": None},
    ],
}


@pytest.fixture
def study():
    names = ("one", "two", "three")
    return {
        "techniques": [{"name": name, "label": name.title()} for name in names],
        "baseline": {"name": "one", "reason": None},
        "prompts": {
            "shown": 20,
            "total": 300,
            "rows": [ROW | {"id": str(number)} for number in range(20)],
            "wrote": {"one": [1] * 20, "two": [0] * 20, "three": [1] * 20},
        },
    }


def test_techniques_that_wrote_the_same_stand_together(study):
    found = headlines_view.headlines(study)
    assert (found["shown"], found["total"], len(found["examples"])) == (20, 300, headlines_view.FIRST)
    assert found["categories"] == ["NEWS"]
    assert found["baseline"] == "One"
    empty, exact = found["examples"][0]["headlines"]
    assert empty == {"techniques": ["One", "Three"], "text": "", "fault": "empty", "exact": False, "scores": ["—"] * 4,
                     "raw": []}  # fmt: skip
    assert (exact["techniques"], exact["exact"], exact["scores"][2]) == (["Two"], True, "1.000")


def test_an_empty_headline_is_not_as_an_empty_reference(study):
    study["prompts"]["rows"][0] = ROW | {"reference": ""}
    assert not [each for each in headlines_view.headlines(study)["examples"][0]["headlines"] if each["exact"]]


def test_a_raw_answer_says_what_was_taken_away_and_how_much_is_left_out(study):
    raw = {"answer": "Headline: A dog barks", "length": 1021, "removed": ["label", "quotes"], "by": ["two"]}
    study["prompts"]["rows"][0] = ROW | {"texts": [ROW["texts"][0] | {"raw": [raw]}, ROW["texts"][1]]}
    (_, found) = headlines_view.headlines(study)["examples"][0]["headlines"]
    assert found["raw"] == [{"answer": raw["answer"], "rest": 1000, "removed": "label, quotes", "by": []}]
    study["prompts"]["rows"][0]["texts"][0]["raw"].append(raw | {"answer": "x", "by": ["three"]})
    (_, found) = headlines_view.headlines(study)["examples"][0]["headlines"]
    assert [each["by"] for each in found["raw"]] == [["Two"], ["Three"]]


def test_no_prompts_and_a_baseline_that_wrote_nothing(study):
    study["baseline"]["name"] = "gone"
    assert headlines_view.headlines(study)["baseline"] == ""
    study["prompts"] |= {"rows": [], "wrote": {}}
    found = headlines_view.headlines(study)
    assert (found["shown"], found["examples"], found["techniques"]) == (0, [], [])


def run(revision, modified=False):
    return {"provenance": {"git_revision": revision, "git_modified": modified}}


def reproduced(*runs, gpus=0):
    technique = {"name": "fast", "label": "Fast", "status": "ok", "runs": list(runs)}
    return reproduce_view.reproduce(
        {
            "techniques": [technique],
            "answer": {"fastest": "fast"},
            "machine": {"gpus": [{}] * gpus},
            "versions": {"torch": "2.0"},
        }
    )


def test_the_commands_name_the_revision_and_the_gpus():
    found = reproduced(run("a1b2"), run("a1b2"), gpus=2)
    assert found["setup"][2:] == ["git checkout a1b2", "make setup", ".venv/bin/snakemake --cores 4 --resources gpu=2"]
    assert found["one"][0] == "rm -r results/generations/fast"
    assert not [note for note in found["notes"] if "revision" in note]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([run(None)], "revision of the code is not known"),
        ([run("a", True), run("a")], "Files differed from that revision"),
        ([run("a", None)], "is not known"),
        ([run("a"), run("b")], "made at 2 revisions"),
    ],
)
def test_what_is_not_known_of_the_code_is_said(runs, said):
    assert said in " ".join(reproduced(*runs)["notes"])


def test_a_revision_that_is_no_word_stays_out_of_the_command():
    assert "git checkout <the revision>" in reproduced(run("a; rm -rf /"))["setup"]


def doubted(*flags, spread=3.0):
    techniques = [
        {"name": str(number), "label": f"T{number}", "status": "ok", "flags": found,
         "figures": {"latency_s": {"between_run_percent": None if spread is None else spread * number}}}
        for number, found in enumerate(flags, start=1)
    ]  # fmt: skip
    answer = {"reference": "1", "fastest": "1", "fastest_kept": "1", "smallest": "1"}
    study = {"techniques": techniques, "answer": answer, "ranking": None, "order": {"interleaved": False}}
    return doubts.summary(study)


def test_the_verdict_counts_the_flagged_and_names_the_worst():
    flag = {"kind": "spread", "message": "It varies."}
    found = doubted([], [flag], [flag])
    count, worst, answer, order = found["sentences"]
    assert count == "2 of the 3 techniques that ran have at least one flag."
    assert "T3, by 9.0%" in worst
    assert answer == "None of the techniques that the answer names is flagged."
    assert "not interleaved" in order
    assert [entry["label"] for entry in found["kinds"][0]["techniques"]] == ["T2", "T3"]


def test_a_flag_on_the_answer_is_said_and_no_flag_too():
    assert "T1 (runs differ)" in doubted([{"kind": "spread", "message": "."}])["sentences"][2]
    calm = doubted([], spread=None)
    assert calm["sentences"][0].startswith("No flag")
    assert "not known" in calm["sentences"][1]
    assert calm["kinds"] == []

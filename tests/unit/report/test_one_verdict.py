"""Quality has one verdict, and every place that shows one shows that."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from scripts.comparison import table
from scripts.report import answer
from tests.support.report_pages import part, rendered, short, technique, visible
from tests.support.synthetic_study import Technique, compare, write_study

WORD = re.compile(r"\b(not kept|kept|undecided)\b")
LENGTHS = {"longer": 1.5, "unsure": None}
SWEEP = {
    "name": "lengths",
    "technique": "baseline",
    "facet": "batch_size",
    "points": [{"value": value, "technique": name} for value, name in enumerate(("baseline", "longer", "unsure"))],
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Return a study in which ROUGE-L and length give other words: ROUGE-L is kept by all but ``pruned``."""
    techniques = [
        Technique("baseline", None, "Plain", {"kv_cache": "none"}),
        Technique("same", label="Same text", difference={"kv_cache": "dynamic"}, speed=1.5),
        Technique("unsure", label="Length unsure", difference={"batch_size": 2}, speed=3),
        Technique("longer", label="Longer", difference={"batch_size": 3}, speed=2),
        Technique("pruned", label="Pruned", difference={"pruning": {"amount": 0.5}}, damage=0.7, seed=2),
        Technique("respelt", label="Other tokens", difference={"batch_size": 4}, speed=1.2),
    ]
    written = write_study(tmp_path_factory.mktemp("study"), techniques, count=20, runs=2, sweeps=[SWEEP])
    for path in map(Path, written["metrics"]):
        if path.stem == "respelt":
            # The same headlines in other tokens.
            content = json.loads(path.read_text(encoding="utf-8"))
            content["samples"]["token_ids"][0][0] += 1
            path.write_text(json.dumps(content), encoding="utf-8")
        if path.stem in LENGTHS:
            content = json.loads(path.read_text(encoding="utf-8"))
            lengths = content["samples"]["new_tokens"]
            # Either all headlines are longer, or a few are so much longer that the mean can't be told.
            content["samples"]["new_tokens"] = [
                length * (LENGTHS[path.stem] or (3 if number < 2 else 0.9)) for number, length in enumerate(lengths)
            ]
            path.write_text(json.dumps(content), encoding="utf-8")
    return compare(written)


@pytest.fixture(scope="module")
def source(compared):
    return rendered(compared)


def cut(source, start, end):
    """Return what stands between two patterns."""
    return re.search(rf"{start}(.*?){end}", source, re.DOTALL)[1]


def expected(compared):
    return {row["name"]: row["quality_kept"]["verdict"] for row in compared["techniques"] if row["name"] != "baseline"}


def words(text):
    return set(WORD.findall(text))


def test_the_study_has_every_verdict(compared):
    assert expected(compared) == {
        "same": "kept", "unsure": "undecided", "longer": "not kept", "pruned": "not kept", "respelt": "kept"
    }  # fmt: skip
    for name in ("unsure", "longer"):
        figures = technique(compared, name)["changes"]["baseline"]["figures"]
        assert figures["quality_kept_percent_rougeL"]["low"] >= 99
    assert not re.search(r'"gate"', json.dumps(compared))


def test_the_table_and_its_file_say_it(compared, source):
    results = part(source, "results")
    keys = re.findall(r'data-key="([^"]*)"', cut(results, "<thead>", "</thead>"))[1:]
    rows = {row["technique"]: row for row in csv.DictReader(io.StringIO(table.table(compared)))}
    for name, verdict in expected(compared).items():
        cells = re.findall(r"<td.*?</td>", cut(results, f'<tr id="row-{name}"', "</tr>"), re.DOTALL)
        shown = {key: visible(cell) for key, cell in zip(keys, cells, strict=True)}
        assert re.sub(r" (ROUGE-L .*|same text)$", "", shown["quality_kept"]) == verdict
        assert {word for key, text in shown.items() if key != "quality_kept" for word in words(text)} == set()
        assert rows[name]["quality_kept_vs_baseline"] == rows[name]["quality_kept_vs_parent"] == verdict
        assert {
            word for key, text in rows[name].items() if "quality_kept_vs" not in key for word in words(text)
        } == set()


def test_changes_and_sweeps_say_it(compared, source):
    changes = cut(part(source, "changes"), '<h3 id="changes-baseline">', "$")
    sweeps = part(source, "sweeps")
    for name, verdict in expected(compared).items():
        assert words(visible(cut(changes, f'<tr data-technique="{name}"', "</tr>"))) == {verdict}
        if name in LENGTHS:
            assert words(visible(cut(sweeps, f'<tr data-technique="{name}"', "</tr>"))) == {verdict}


def test_the_best_and_every_panel_say_it(compared, source):
    every = cut(source, '<template id="candidates">', "</template>")
    for name, verdict in expected(compared).items():
        card = cut(every, f'<li class="candidate" data-technique="{name}"', "</li>")
        assert f"quality {verdict}" in visible(cut(card, '<dl class="heads">', "</dl>"))
        panel = visible(cut(source, f'<details class="technique" id="technique-{name}"', "Why it is this fast"))
        assert re.findall(r"quality is (not kept|kept|undecided)", panel) == [verdict]


def test_the_short_report_says_it(compared):
    lines = short(compared).splitlines()
    labels = {row["name"]: row["label"] for row in compared["techniques"]}
    heads = next(line for line in lines if line.startswith("| Technique") and "Quality kept" in line)
    place = [head.strip() for head in heads.split("|")].index("Quality kept")
    for name, verdict in expected(compared).items():
        row = next(line for line in lines if line.startswith(f"| {labels[name]}") and len(line.split("|")) > place)
        assert row.split("|")[place].strip().removesuffix(" (same text)") == verdict
        assert words(row) == {verdict}


def test_the_answer_says_it_with_what_it_rests_on(compared):
    told = answer.sentences(compared)
    assert told[0].startswith(
        "Use Same text: 1.49\N{MULTIPLICATION SIGN} faster, same headlines. For bulk work Other tokens: "
    )
    assert told[0].endswith("the throughput, quality kept.")
    assert told[-1] == (
        "Doubt: Length unsure is faster still (3.0\N{MULTIPLICATION SIGN} faster), but whether it keeps the quality is "
        "undecided; more prompts would tell."
    )


def test_the_same_text_is_said_where_every_token_is_the_other_s_and_nowhere_else(compared, source):
    tested = ("quality_kept_percent_rouge1", "quality_kept_percent_rougeL", "output_length_change_percent")
    for name, said in (("same", "same text"), ("respelt", "no measurable difference")):
        change = technique(compared, name)["changes"]["baseline"]
        assert change["same_text"] == (said == "same text")
        assert {change["figures"][key]["verdict"] for key in tested} == {said}
        assert change["figures"]["latency_change_percent"]["verdict"] == "faster"
        for section in ("results", "changes"):
            row = visible(cut(part(source, section), f'<tr [^>]*data-technique="{name}"', "</tr>"))
            assert ("same text" in row) == (said == "same text")
    reason = technique(compared, "same")["quality_kept"]["reason"]
    assert reason == "The text is the reference's on every prompt."
    (line,) = (line for line in short(compared).splitlines() if line.startswith("| Same text |"))
    assert line.endswith("kept (same text) |")

"""The command that compares two studies: its page, its summary, its exit status, and files that are no comparison."""

import copy
import json
import re
import sys

import pytest
from markdown_it import MarkdownIt

from scripts import compare_studies
from scripts.comparison.studies import compare, reading
from scripts.comparison.studies import since as studies_since
from scripts.foundation import entry
from scripts.report import studies_documents as documents
from scripts.report.text import DANGEROUS
from scripts.report.view import report_view
from tests.support.report_pages import rendered, short, visible
from tests.support.text_everywhere import study_of

RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": False})


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that writes two files, compares them, and returns the exit status and what was printed."""

    def called(old, new, *options):
        paths = [tmp_path / "old.json", tmp_path / "new.json"]
        for path, content in zip(paths, (old, new), strict=True):
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        outputs = ["--html", str(tmp_path / "page.html"), "--markdown", str(tmp_path / "page.md")]
        monkeypatch.setattr(sys, "argv", ["compare_studies", *map(str, paths), *outputs, *options])
        status = 0
        try:
            entry.run(compare_studies.main, fault=compare_studies.CANNOT)
        except SystemExit as ended:
            status = ended.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    called.folder = tmp_path
    return called


def slowed(comparison, name="pruned", factor=1.5):
    """Return the comparison as it would be had one technique taken longer."""
    slower = copy.deepcopy(comparison)
    technique = next(each for each in slower["techniques"] if each["name"] == name)
    for key in ("latency_s", "fixed_latency_s"):
        figure = technique["figures"][key]
        figure |= {end: figure[end] * factor for end in ("value", "low", "high") if figure[end]}
        figure["runs"] = [run * factor for run in figure["runs"]]
    slower["prompts"]["latency_s"][name] = [value * factor for value in slower["prompts"]["latency_s"][name]]
    return slower


def test_nothing_worse_is_status_0(run, compared):
    status, out, err = run(compared, compared)
    assert (status, err) == (0, "")
    assert "No figure is worse by more than its bound" in out
    assert "page.html" in out


def test_something_worse_is_status_1_and_named_everywhere(run, compared):
    status, out, _ = run(compared, slowed(compared))
    assert status == 1
    page = visible((run.folder / "page.html").read_text(encoding="utf-8"))
    short = (run.folder / "page.md").read_text(encoding="utf-8")
    for text in (out, page, short.replace("\\", "")):
        assert re.search(r"Pruned 30%: latency \+50\.0% \(95% interval .+\), beyond the bound of 5%; p", text)
    assert "not paired" in page
    assert "Runs of two studies are not paired" in short
    assert run(compared, slowed(compared), "--bound", "latency=70,memory=9")[0] == 0
    assert run(compared, slowed(compared), "--fail-on", "status,missing")[0] == 0


def test_a_technique_that_is_lost_is_named_with_its_reason(run, compared):
    lost = copy.deepcopy(compared)
    lost["techniques"][4] |= {"status": "unsupported", "reason": "this GPU has no kernels for it"}
    status, out, _ = run(compared, lost)
    assert status == 1
    assert "Pruned 30% had figures and has none any more (not supported here: this GPU has no kernels for it)." in out


def test_studies_of_which_nothing_can_be_compared_are_status_2(run, compared):
    others = copy.deepcopy(compared)
    for technique in others["techniques"]:
        technique["generation"] = {"max_new_tokens": 99}
    status, out, err = run(compared, others)
    assert status == 2
    assert "nothing could be compared" in err
    assert "No figure is worse" not in out
    assert "max_new_tokens" in (run.folder / "page.html").read_text(encoding="utf-8")


def test_help_says_bounds_and_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare_studies", "--help"])
    with pytest.raises(SystemExit) as ended:
        compare_studies.main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    wanted = (
        "latency=5, throughput=5, memory=5, capacity=10, quality=1",
        "Exit status",
        "nothing counts as worse",
        "--fail-on",
    )
    for each in wanted:
        assert each in " ".join(said.split())


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--bound", "speed=3"], "names no kind"),
        (["--bound", "latency"], "is no bound"),
        (["--bound", "quality=100"], "0 to 99"),
        (["--bound", "latency=nan"], "is no bound"),
        (["--fail-on", "luck"], "can't count as worse"),
    ],
)
def test_a_wrong_option_is_status_2_and_a_sentence(run, compared, options, wanted):
    status, _, err = run(compared, compared, *options)
    assert status == 2
    assert wanted in err
    assert "Traceback" not in err


def changed(path, value):
    """Return a change of a comparison: the value at a dotted path."""

    def change(comparison):
        *way, last = path.split(".")
        part = comparison
        for key in way:
            part = part[int(key) if isinstance(part, list) else key]
        part[int(last) if isinstance(part, list) else last] = value

    return change


BROKEN = {
    "no JSON": ("{", "is no JSON"),
    "another JSON": ('{"a": 1}', "no comparison of a study"),
    "a list": ("[1]", "no comparison of a study"),
    "deep": ("[" * 50_000, "nested deeper"),
    "another form": (changed("format", 99), "has the format 99"),
    "not a number": (changed("techniques.1.figures.latency_s.value", float("nan")), "finite numbers"),
    "infinity": (changed("techniques.1.figures.latency_s.runs", [1e400]), "finite numbers"),
    "text for a number": (changed("techniques.1.figures.latency_s.value", "fast"), "latency_s.value is \"fast\""),
    "too large": (changed("techniques.1.figures.latency_s.value", 10**400), "which no comparison of a study has"),
    "a negative variance": (
        changed("techniques.1.changes.baseline.figures.latency_change_percent.log_variance",
                {"runs": {"variance": -1, "freedom": 2}}),
        "log_variance.runs.variance is -1",
    ),
    "no techniques": (changed("techniques", []), "techniques is []"),
    "a name twice": (changed("techniques.1.name", "baseline"), "twice"),
    "a headline that is not there": (changed("prompts.wrote.kv_cache.0", 999), "does not go with the prompts"),
    "too few prompts": (changed("prompts.latency_s.kv_cache", [1.0]), "does not go with the prompts"),
    "no time": (changed("techniques.1.runs.0.started_at", "yesterday"), "started_at is \"yesterday\""),
    "nested names": (changed("machine.gpus", [{"name": {"a": []}}]), "machine.gpus.0.name"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_comparison_is_one_sentence_and_status_2(run, compared, name):
    given, wanted = BROKEN[name]
    broken = given
    if callable(given):
        broken = copy.deepcopy(compared)
        given(broken)
    status, out, err = run(compared, broken)
    assert status == 2
    assert wanted in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not (run.folder / "page.html").exists()


def test_a_file_that_cannot_be_read_is_status_2(run, compared, monkeypatch, capsys):
    (run.folder / "old.json").write_bytes(b"\xff\xfe{}")
    for given, wanted in (("old.json", "is no JSON"), ("none.json", "does not exist"), (".", "is a directory")):
        monkeypatch.setattr(sys, "argv", ["compare_studies", str(run.folder / given), str(run.folder / given)])
        with pytest.raises(SystemExit) as ended:
            entry.run(compare_studies.main, fault=compare_studies.CANNOT)
        assert ended.value.code == 2
        assert wanted in capsys.readouterr().err


def test_a_directory_is_not_written_over(run, compared):
    status, out, err = run(compared, compared, "--markdown", str(run.folder))
    assert (status, out) == (2, "")
    assert err == f"error: {run.folder} is a directory; name a file to write.\n"
    status, _, err = run(compared, compared, "--html", str(run.folder / "old.json" / "page.html"))
    assert status == 2
    assert "old.json is a file" in err


def test_an_interruption_is_a_word_and_no_traceback(run, compared, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(reading, "read", interrupted)
    assert run(compared, compared) == (130, "", "Interrupted.\n")


def test_a_study_is_not_written_over(run, compared):
    status, _, err = run(compared, compared, "--html", str(run.folder / "old.json"))
    assert status == 2
    assert "choose another name" in err
    assert json.loads((run.folder / "old.json").read_text(encoding="utf-8"))["title"] == compared["title"]


HOSTILE = [
    "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "a | b \\| c",
    "[x](javascript:alert(1))", "![x](https://x.invalid/i.png)", "# heading", "@someone #12", "bell\x07\x1b[31m\u202e",
    "two\nlines\r\n", "x" * 5_000,
]  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Two studies all of whose texts are hostile, one technique slower in the second, one lost, one asked otherwise."""
    text = " ".join(HOSTILE[:-1])
    old = study_of(tmp_path_factory.mktemp("hostile"), text, HOSTILE)
    new = slowed(old, "t0")
    new["versions"] = {text: "other"}
    new["machine"] = new["machine"] | {"cpu_model": f"{text} 2"}
    new["techniques"][5] |= {"status": "failed", "reason": text}
    new["techniques"][6]["settings"] = {text: text}
    new["title"] = text
    return old, new


def test_hostile_texts_are_inert_in_the_page(hostile):
    old, new = hostile
    found = compare.compare(reading.checked(old, "old"), reading.checked(new, "new"), compare.choices(judge="absolute"))
    source = documents.page_of(found)
    assert not DANGEROUS.search(source)
    body = source.partition("</style>")[2]
    assert not re.search(r"<(script|img|iframe|link|style)\b", body)
    assert not re.search(r"<[^>]*\son\w+=", body)
    assert not re.search(r"(src|href)=\"(?!#)", body)
    assert "default-src 'none'" in source
    assert "script-src" not in source
    assert "<script>alert(1)</script>" in visible(body.replace("<bdi>", "").replace("</bdi>", ""))


def test_hostile_texts_are_inert_in_markdown_and_terminal(hostile, run):
    status, out, _ = run(*hostile, "--judge", "absolute")
    assert status == 1
    assert not DANGEROUS.search(out)
    assert "\r" not in out
    assert len(out.splitlines()) < 20
    short = (run.folder / "page.md").read_text(encoding="utf-8")
    assert not DANGEROUS.search(short)
    tokens = RENDERER.parse(short)
    inner = [child for token in tokens for child in token.children or []]
    assert not {"link_open", "image", "html_inline", "html_block"} & {each.type for each in [*tokens, *inner]}


def test_the_page_names_what_differs_what_is_apart_and_what_was_asked_otherwise(run, compared):
    new = copy.deepcopy(compared)
    new["versions"] = compared["versions"] | {"torch": "9.9"}
    new["techniques"][1]["settings"] = compared["techniques"][1]["settings"] | {"kv_cache": "other"}
    gone = new["techniques"].pop(4)
    run(compared, new)
    page = visible((run.folder / "page.html").read_text(encoding="utf-8"))
    assert "torch 2.13.0 9.9" in page
    assert f"{gone['label']} : only in the previous study" in page
    assert "kv_cache dynamic other" in page
    assert "no figures in either study (out of memory" in page
    assert "No difference recorded in: Machine" in page


@pytest.fixture(scope="module")
def since(compared):
    """A study that names an earlier one, in which one technique was faster."""
    current = slowed(compared)
    earlier = copy.deepcopy(compared)
    earlier["techniques"][5] |= {"generation": {"max_new_tokens": 99}}
    studies_since.add(current, earlier)
    return current


def test_the_report_shows_what_changed_since_the_previous_study(since):
    shown = report_view(since)["views"]["results"]
    place = next(n for n, column in enumerate(shown["columns"]) if column["key"] == "since_latency_s")
    assert not any(column["main"] for column in shown["columns"] if column["key"].startswith("since_"))
    cells = {row["name"]: row["cells"][place] for row in shown["rows"] if row["ok"]}
    assert cells["pruned"]["text"] == "+50.0%"
    assert (cells["pruned"]["verdict"], cells["pruned"]["tone"]) == ("slower", "bad")
    assert "beyond the bound" in cells["pruned"]["note"]
    assert cells["kv_cache"]["text"] == "0.0%"
    quality = next(n for n, column in enumerate(shown["columns"]) if column["key"] == "since_rougeL")
    unchanged = next(row for row in shown["rows"] if row["name"] == "kv_cache")["cells"][quality]
    assert (unchanged["text"], unchanged["interval"]) == ("0.0%", "")
    assert cells["pruned_50"]["text"] == "\N{EM DASH}"
    assert cells["pruned_50"]["note"] == "asked something else in the previous study"
    page = visible(rendered(since))
    assert "previous" in report_view(since)["views"]
    assert "Pruned 30%: latency +50.0%" in page
    assert "## Since the previous study" in short(since)


def test_without_a_previous_study_nothing_is_said_of_one(compared):
    assert "previous" not in report_view(compared)["views"]
    assert "previous study" not in visible(rendered(compared))
    assert "previous study" not in short(compared)

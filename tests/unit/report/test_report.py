import base64
import csv
import hashlib
import html.parser
import io
import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from scripts import plot, render
from scripts.comparison import table
from scripts.comparison.table import FORMULA_STARTS
from scripts.foundation.errors import StudyError
from scripts.report import answer, drawing, page, picture, plots, view
from scripts.report.text import DANGEROUS, inert
from tests.support.report_pages import TEMPLATE, rendered
from tests.support.synthetic_study import Technique
from tests.support.text_everywhere import study_of

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><svg onload=alert(1)>",
    "\"'><b>quoted</b>",
    "{{ 7 * 7 }}{% raw %}",
    "]]>&lt;!-- <!-- $x^2$ \\alpha $",
    "bell\x07 null\x00 \u202eright-to-left\u2066",
    "日本語 " + "long" * 60,
    "$$$\\frac{",
    '=HYPERLINK("x")',
    "[a](javascript:alert(1)) ![b](http://x) | # @everyone #12 *b* `c`",
]


class Reader(html.parser.HTMLParser):
    """Collects elements, attributes and text of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.texts, self.ids, self.held = [], [], [], [], {}
        self.inside = ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attributes]
        self.ids += [value for key, value in attributes if key == "id"]
        self.inside = dict(attributes).get("id", tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        # What scripts and styles hold is no text that a reader sees.
        if self.inside:
            self.held[self.inside] = self.held.get(self.inside, "") + data
        else:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(comparison):
    drawings = {
        name: ElementTree.tostring(
            ElementTree.fromstring(plots.svg(picture.plot_of(comparison, key))), encoding="unicode"
        )
        for name, key in picture.FILES.items()
    }
    return rendered(comparison, drawings=drawings, numbers=comparison, table=table.table(comparison)), drawings


def run_stages(tmp_path, monkeypatch, comparison):
    (tmp_path / "comparison.json").write_text(json.dumps(comparison), encoding="utf-8")
    (tmp_path / "comparison.csv").write_text(table.table(comparison), encoding="utf-8")
    arguments = ["--comparison", str(tmp_path / "comparison.json")]
    monkeypatch.setattr(sys, "argv", ["plot", *arguments, "--output", str(tmp_path / "plots")])
    plot.main()
    files = [str(tmp_path / "plots" / f"{name}.svg") for name in picture.FILES]
    output = tmp_path / "report.html"
    inputs = [*arguments, "--table", str(tmp_path / "comparison.csv"), "--plots", *files]
    outputs = ["--output", str(output), "--markdown", str(tmp_path / "report.md")]
    monkeypatch.setattr(sys, "argv", ["render", *inputs, *outputs])
    render.main()
    return output.read_text(encoding="utf-8")


def test_the_report_holds_what_a_reader_looks_for(tmp_path, monkeypatch, whole):
    source = run_stages(tmp_path, monkeypatch, whole)
    reader = Reader(source)
    for technique in whole["techniques"]:
        assert technique["label"] in reader.text
    for expected in (
        "Use Compiled", "14 of 16 techniques ran",
        "not supported here",
        "tensor parallelism over 4 GPUs needs 4 GPUs and this machine has 1",
        "out of memory",
        "169", "0.8", "not P99, which needs 299 prompts", "Slowest of 60 requests",
        "no measurable difference", "Acceptance rate", "DynamicCache",
        "Generate a concise headline for the following news summary: {summary}",
        "Example CPU 2.0 GHz", "5.23.0", "counts.rejected", "28 M parameters", "same text",
        whole["prompts"]["rows"][0]["summary"],
    ):  # fmt: skip
        assert expected in reader.text, expected
    assert reader.tags.count("figure") >= len(picture.FILES)
    assert {f"technique-{technique['name']}" for technique in whole["techniques"]} <= set(reader.ids)


def test_the_report_needs_nothing_beside_it(tmp_path, monkeypatch, whole):
    source = run_stages(tmp_path, monkeypatch, whole)
    reader = Reader(source)
    assert not {"link", "img", "iframe", "object", "base"} & set(reader.tags)
    assert reader.tags.count("script") == 3
    assert not [value for tag, key, value in reader.attributes if tag == "script" and key == "src"]
    for _, key, value in reader.attributes:
        if key in ("href", "src", "xlink:href", "action", "formaction"):
            assert value.startswith("#"), value
    assert "@import" not in source
    assert not re.findall(r"url\((?!#)", source)
    digest = base64.b64encode(hashlib.sha256(reader.held["script"].encode()).digest()).decode()
    policy = next(value for _, key, value in reader.attributes if key == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
    assert len(set(reader.ids)) == len(reader.ids)
    targets = {value[1:] for tag, key, value in reader.attributes if key == "href" and tag == "a"}
    assert targets <= set(reader.ids)


def test_hostile_text_is_inert_everywhere(tmp_path, monkeypatch):
    (tmp_path / "plain").mkdir()
    plain = study_of(tmp_path / "plain" / "study", "plain", [f"label {number}" for number in range(len(HOSTILE))])
    benign = Reader(run_stages(tmp_path / "plain", monkeypatch, plain))
    source = run_stages(tmp_path, monkeypatch, study_of(tmp_path / "study", " ".join(HOSTILE), HOSTILE))
    reader = Reader(source)
    # Nothing that a text holds became an element, an attribute, or the end of one: all there is, is the template's own.
    assert set(reader.tags) == set(benign.tags)
    for tag in ("script", "style", "meta", "b", "a", "option"):
        assert reader.tags.count(tag) == benign.tags.count(tag), tag
    # Of hostile headlines some marks are taken away, and the page shows those answers as they were.
    folds = [
        each.tags.count("details") - each.attributes.count(("details", "class", "raw")) for each in (reader, benign)
    ]
    assert folds[0] == folds[1]
    assert {key for _, key, _ in reader.attributes} == {key for _, key, _ in benign.attributes}
    assert not [key for _, key, _ in reader.attributes if key.startswith("on") or key == "srcdoc"]
    assert "{{ 7 * 7 }}{% raw %}" in re.findall(r"<h1>(.*?)</h1>", source, re.DOTALL)[0]
    assert not DANGEROUS.search(source)
    for hostile in HOSTILE:
        if "\x07" not in hostile:
            assert hostile in reader.text
    # The embedded numbers are read as they were written, up to characters that would hide or reorder others.
    assert json.loads(reader.held["numbers"])["title"] == inert(" ".join(HOSTILE))
    assert not set("<>&") & set(reader.held["numbers"])
    with io.StringIO(json.loads(reader.held["table"]), newline="") as held:
        cells = [cell for line in csv.reader(held) for cell in line]
    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS) and not re.fullmatch(r"-[\d.e+-]+", cell)]


def test_the_prompt_keeps_its_lines(whole):
    source, _ = page_of(whole | {"prompt": "First.\n\n\n  Second: {summary}"})
    assert "First.\n\n\n  Second: {summary}</pre>" in source


def test_missing_template_partial_style_or_script_is_one_sentence(tmp_path, whole):
    with pytest.raises(StudyError, match=r"nothing\.j2 does not exist"):
        page.page({}, tmp_path / "nothing.j2", page.Contents())
    for gone in ("styles/base.css", "scripts/start.js", "partials/results.html.j2"):
        folder = tmp_path / gone.replace("/", "-")
        shutil.copytree(TEMPLATE.parent, folder)
        (folder / gone).unlink()
        with pytest.raises(StudyError, match=gone):
            page.page(view.report_view(whole), folder / TEMPLATE.name, page.Contents())


@pytest.fixture
def parts(tmp_path):
    """Return a template's folder with empty styles and scripts."""
    for kind, names, ending in (("styles", page.STYLES, "css"), ("scripts", page.SCRIPTS, "js")):
        (tmp_path / kind).mkdir()
        for name in names:
            (tmp_path / kind / f"{name}.{ending}").write_text("", encoding="utf-8")
    return tmp_path


def test_a_template_that_asks_for_what_is_not_there_fails(parts):
    (parts / "t.j2").write_text("{{ report.nothing }}", encoding="utf-8")
    with pytest.raises(StudyError, match="nothing"):
        page.page({}, parts / "t.j2", page.Contents())


@pytest.mark.parametrize("part", ["styles/base.css", "scripts/dom.js"])
@pytest.mark.parametrize("text", ["</style>", "</script>", "<!--"])
def test_a_part_that_could_end_its_element_is_refused(parts, part, text):
    (parts / part).write_text(text, encoding="utf-8")
    (parts / "t.j2").write_text("x", encoding="utf-8")
    with pytest.raises(StudyError, match="could end it"):
        page.page({}, parts / "t.j2", page.Contents())


def test_missing_or_broken_plots_are_one_sentence(tmp_path):
    with pytest.raises(StudyError, match="does not exist"):
        drawing.inline_svg(tmp_path / "none.svg", "a-")
    (tmp_path / "bad.svg").write_text("<svg", encoding="utf-8")
    with pytest.raises(StudyError, match="not an SVG"):
        drawing.inline_svg(tmp_path / "bad.svg", "a-")


def test_a_drawing_is_stripped_of_all_but_shapes_and_text(tmp_path):
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="x()">'
        '<script>x()</script><foreignObject/><style>* {}</style><image href="http://x"/>'
        '<g id="a"><use xlink:href="http://x"/><use xlink:href="#a" onclick="x()"/></g>'
        '<path style="fill: url(http://x)" clip-path="url(#a)"/></svg>',
        encoding="utf-8",
    )
    markup = drawing.inline_svg(tmp_path / "a.svg", "p-")
    assert markup == '<svg><g id="p-a"><use /><use href="#p-a" /></g><path clip-path="url(#p-a)" /></svg>'


def test_answer_without_quality_and_without_baseline(small):
    models = {
        "models": {
            "target": {"name": "s", "source": "random", "random_weights": True, "parameters": 9, "dtype": "float32"}
        }
    }
    comparison = small([Technique("fast", changes=models), Technique("slow", speed=0.5, changes=models)], runs=2)
    (first,) = answer.sentences(comparison)
    assert first.startswith("fast has the lowest mean latency of 2 techniques; what it gains can't be said")
    source, drawings = page_of(comparison)
    assert "not measured: random weights" in source
    assert "Throughput in samples/s" in drawings["latency_quality"]
    assert "Quality was not measured: random weights." in drawings["throughput_quality"]


def test_answer_and_page_when_nothing_ran(small):
    comparison = small([Technique("baseline", None, status="unsupported", reason="no GPU")])
    source, drawings = page_of(comparison)
    assert "the only technique did not run to the end" in source
    assert "No technique has figures" in drawings["latency_quality"]


def test_few_samples_render(small):
    source, _ = page_of(small([Technique("baseline", None), Technique("fast", speed=2)], count=3))
    assert "too few for an interval" in source
    assert "None" not in Reader(source).text

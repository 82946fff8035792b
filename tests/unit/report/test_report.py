import html.parser
import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from scripts import plot, render
from scripts.foundation.errors import StudyError
from scripts.report import answer, drawing, page, plots, view
from tests.support import synthetic_runs as synthetic
from tests.support.synthetic_study import Technique, compare, everything, write_study

TEMPLATE = Path(__file__).parents[3] / "report" / "report.html.j2"
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><svg onload=alert(1)>",
    "\"'><b>quoted</b>",
    "{{ 7 * 7 }}{% raw %}",
    "]]>&lt;!-- $x^2$ \\alpha $",
    "bell\x07 null\x00 \u202eright-to-left\u2066",
    "日本語 " + "long" * 60,
    "$$$\\frac{",
]


class Reader(html.parser.HTMLParser):
    """Collects elements, attributes and text of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.texts, self.ids = [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attributes]
        self.ids += [value for key, value in attributes if key == "id"]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(comparison):
    drawings = [
        ElementTree.tostring(ElementTree.fromstring(plots.svg(plots.plot_of(comparison, key))), encoding="unicode")
        for key in ("latency_s", "peak_memory_bytes")
    ]
    return page.page(view.report_view(comparison), TEMPLATE, drawings), drawings


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return compare(write_study(tmp_path_factory.mktemp("study"), everything(), count=30, runs=2))


@pytest.fixture
def small(tmp_path):
    def build(techniques, **options):
        return compare(write_study(tmp_path / "study", techniques, **({"count": 20, "runs": 1} | options)))

    return build


def run_stages(tmp_path, monkeypatch, comparison):
    (tmp_path / "comparison.json").write_text(json.dumps(comparison))
    arguments = ["--comparison", str(tmp_path / "comparison.json")]
    monkeypatch.setattr(sys, "argv", ["plot", *arguments, "--output", str(tmp_path / "plots")])
    plot.main()
    files = [str(tmp_path / "plots" / name) for name in ("latency_quality.svg", "memory_quality.svg")]
    output = tmp_path / "report.html"
    monkeypatch.setattr(sys, "argv", ["render", *arguments, "--plots", *files, "--output", str(output)])
    render.main()
    return output.read_text(encoding="utf-8")


def test_the_report_holds_what_a_reader_looks_for(tmp_path, monkeypatch, whole):
    source = run_stages(tmp_path, monkeypatch, whole)
    reader = Reader(source)
    for technique in whole["techniques"]:
        assert technique["label"] in reader.text
    for expected in (
        "Compiled is the fastest of the 14 techniques",
        "not supported here",
        "tensor parallelism over 4 GPUs needs 4 GPUs and this machine has 1",
        "out of memory",
        "169", "0.8", "P99 needs 299", "no measurable difference", "Acceptance rate", "DynamicCache",
        "Generate a concise headline for the following news summary: {summary}",
        "Example CPU 2.0 GHz", "5.23.0", "counts.rejected", "28 M parameters", "identical",
        whole["examples"][0]["summary"],
    ):  # fmt: skip
        assert expected in reader.text, expected
    assert reader.tags.count("figure") == 2
    assert len([name for name in reader.ids if name.startswith("technique-")]) == 16


def test_the_report_needs_nothing_beside_it(tmp_path, monkeypatch, whole):
    source = run_stages(tmp_path, monkeypatch, whole)
    reader = Reader(source)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(reader.tags)
    for _, key, value in reader.attributes:
        if key in ("href", "src", "xlink:href"):
            assert value.startswith("#"), value
    assert "@import" not in source
    assert not re.findall(r"url\((?!#)", source)
    assert "default-src 'none'" in source
    assert len(set(reader.ids)) == len(reader.ids)
    targets = {value[1:] for tag, key, value in reader.attributes if key == "href" and tag == "a"}
    assert targets <= set(reader.ids)


def test_hostile_text_is_inert_everywhere(tmp_path, monkeypatch):
    text = " ".join(HOSTILE)
    dataset = [row | {"summary": text, "headline": text, "category": text} for row in synthetic.make_dataset(12)]
    techniques = [
        Technique("baseline", None, text, {"model": text}, changes={"evidence": {text: {"x": [text]}}}),
        Technique("b", label=text, difference={text: text}, changes={"generation": {"prompt": text}}),
        Technique("c", label=text, status="invalid", reason=text),
        *(Technique(f"t{number}", label=hostile, speed=number + 2) for number, hostile in enumerate(HOSTILE)),
    ]
    written = write_study(tmp_path / "study", techniques, runs=1, dataset=dataset)
    written["study"] |= {"title": text, "prompt": text}
    comparison = compare(written)
    comparison["techniques"][0]["models"]["target"]["name"] = text
    comparison["machine"]["cpu_model"] = text
    comparison["versions"] = {text: text}
    comparison["dataset"]["manifest"] = {text: text}
    for example in comparison["examples"]:
        example["headlines"] = dict.fromkeys(example["headlines"], text)
    source = run_stages(tmp_path, monkeypatch, comparison)
    reader = Reader(source)
    allowed = (
        "html head meta title style body header h1 h2 h3 main nav section div p dl dt dd a table thead tbody tr th"
    )
    allowed += " td span svg g defs path use text desc clippath rect line circle figure article details summary code"
    allowed += " pre b i ul li bdi sup"
    assert set(reader.tags) <= set(allowed.split())
    assert reader.tags.count("b") == 1  # the template's own
    assert not [key for _, key, _ in reader.attributes if key.startswith("on")]
    assert "{{ 7 * 7 }}{% raw %}" in re.findall(r"<h1>(.*?)</h1>", source)[0]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", source)
    for hostile in HOSTILE:
        if "\x07" not in hostile:
            assert hostile in reader.text


def test_the_prompt_keeps_its_lines(whole):
    source, _ = page_of(whole | {"prompt": "First.\n\n\n  Second: {summary}"})
    assert "First.\n\n\n  Second: {summary}</pre>" in source


def test_missing_template_partial_or_style_is_one_sentence(tmp_path, whole):
    with pytest.raises(StudyError, match=r"nothing\.j2 does not exist"):
        page.page({}, tmp_path / "nothing.j2", [])
    for gone in ("report.css", "partials/results.html.j2"):
        folder = tmp_path / gone.replace("/", "-")
        shutil.copytree(TEMPLATE.parent, folder)
        (folder / gone).unlink()
        with pytest.raises(StudyError, match=gone):
            page.page(view.report_view(whole), folder / TEMPLATE.name, [])


def test_a_template_that_asks_for_what_is_not_there_fails(tmp_path):
    (tmp_path / "report.css").write_text("")
    (tmp_path / "t.j2").write_text("{{ report.nothing }}")
    with pytest.raises(StudyError, match="nothing"):
        page.page({}, tmp_path / "t.j2", [])


def test_a_style_that_could_end_its_element_is_refused(tmp_path):
    (tmp_path / "report.css").write_text("</style>")
    (tmp_path / "t.j2").write_text("x")
    with pytest.raises(StudyError, match="would end it"):
        page.page({}, tmp_path / "t.j2", [])


def test_missing_or_broken_plots_are_one_sentence(tmp_path):
    with pytest.raises(StudyError, match="does not exist"):
        drawing.inline_svg(tmp_path / "none.svg", "a-")
    (tmp_path / "bad.svg").write_text("<svg")
    with pytest.raises(StudyError, match="not an SVG"):
        drawing.inline_svg(tmp_path / "bad.svg", "a-")


def test_a_drawing_is_stripped_of_all_but_shapes_and_text(tmp_path):
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="x()">'
        '<script>x()</script><foreignObject/><style>* {}</style><image href="http://x"/>'
        '<g id="a"><use xlink:href="http://x"/><use xlink:href="#a" onclick="x()"/></g>'
        '<path style="fill: url(http://x)" clip-path="url(#a)"/></svg>'
    )
    markup = drawing.inline_svg(tmp_path / "a.svg", "p-")
    assert markup == '<svg><g id="p-a"><use /><use href="#p-a" /></g><path clip-path="url(#p-a)" /></svg>'


def test_no_measurable_difference_is_said(small):
    comparison = small([Technique("baseline", None, "Plain"), Technique("same")], runs=2)
    comparison["answer"] |= {"fastest": "same", "fastest_kept": "same"}
    assert "no measurable difference from Plain" in answer.sentences(comparison)[0]


def test_answer_names_the_faster_one_that_loses_quality(small):
    techniques = [Technique("baseline", None, "Plain"), Technique("bad", label="Bad", speed=9, damage=0.9, seed=3)]
    first, second = answer.sentences(small(techniques))
    assert first.startswith(
        "No technique is shown to be faster than Plain and to keep its quality; Bad is the fastest, at "
    )
    assert second.startswith("No technique needs less memory than Plain")


def test_answer_names_the_ties_of_the_fastest(small):
    comparison = small([Technique("baseline", None, "Plain"), Technique("same", label="Same"), Technique("b")], runs=2)
    comparison["answer"] |= {"fastest": "same", "fastest_ties": ["baseline", "b"]}
    assert "Not shown to be slower than Same: Plain, b." in answer.sentences(comparison)


def test_answer_does_not_call_quality_kept_where_the_length_is_not(small):
    comparison = small([Technique("baseline", None, "Plain"), Technique("fast", label="Fast", speed=4)], runs=2)
    change = comparison["techniques"][1]["changes"]["baseline"]
    change["quality_kept"] = {"verdict": "not kept", "reason": "."}
    change["figures"]["output_length_change_percent"] |= {"value": 40.0, "low": 35.0, "high": 45.0}
    comparison["answer"] |= {"fastest": "fast", "fastest_kept": "baseline"}
    sentence = answer.sentences(comparison)[0]
    assert "does not keep Plain's output length (+40.0%, 95% interval +35.0 to +45.0%)" in sentence
    assert "keeps Plain's ROUGE-L" not in sentence


def test_answer_without_quality_and_without_baseline(small):
    models = {"models": {"target": {"name": "s", "source": "random", "parameters": 9, "dtype": "float32"}}}
    comparison = small([Technique("fast", changes=models), Technique("slow", speed=0.5, changes=models)])
    first = answer.sentences(comparison)[0]
    assert "fast is the fastest of the 2" in first
    assert "quality was not measured" in first
    source, drawings = page_of(comparison)
    assert "not measured: random weights" in source
    assert "Throughput in samples/s" in drawings[0]


def test_answer_and_page_when_nothing_ran(small):
    comparison = small([Technique("baseline", None, status="unsupported", reason="no GPU")])
    source, drawings = page_of(comparison)
    assert "None of the 1 techniques ran" in source
    assert "No technique has figures" in drawings[0]


def test_few_samples_render(small):
    source, _ = page_of(small([Technique("baseline", None), Technique("fast", speed=2)], count=3))
    assert "too few for an interval" in source
    assert "None" not in re.sub(r"<style>.*?</style>", "", source, flags=re.DOTALL)

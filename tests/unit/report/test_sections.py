"""The report's sections: what makes one, in which order they stand, and one from a plugin."""

import copy
import sys
from pathlib import Path

import pytest

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.report import doubts, markdown, page, scope, view
from scripts.report.sections import check, modules, sections
from scripts.study import sources
from tests.support.report_pages import TEMPLATE, part

ROOT = Path(__file__).parents[3]
SECTION = """
from scripts.report.section import Section

def weather(comparison):
    return {"told": f"{len(comparison['techniques'])} techniques, <b>rain</b>"}

SECTION = Section("weather", "Weather", 45, weather, short=weather)
"""
PARTIAL = "<p>{{ view.told }}</p>\n"


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin's files, and take it up until the test has ended."""

    places = {
        "module": "scripts/report/sections/weather.py",
        "twin": "scripts/report/sections/rain.py",
        "partial": "report/partials/weather.html.j2",
        "short": "report/partials/weather.md.j2",
    }

    def write(**files):
        for name, text in files.items():
            path = tmp_path / places[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        plugins.use([str(tmp_path)])

    yield write
    plugins.use([])
    for name in ("weather", "rain"):
        sys.modules.pop(f"scripts.report.sections.{name}", None)


def test_each_section_has_a_module_of_its_name_and_a_partial():
    found = sections()
    assert [section.order for section in found] == sorted({section.order for section in found})
    assert sorted(modules()) == sorted(f"scripts.report.sections.{section.id}" for section in found)
    for section in found:
        assert (ROOT / "report" / "partials" / f"{section.id}.html.j2").is_file()
        assert (ROOT / "report" / "partials" / f"{section.id}.md.j2").is_file() == bool(section.short)


def test_a_section_of_a_plugin_stands_in_its_place(compared, plugin):
    plugin(module=SECTION, partial=PARTIAL, short="## Weather\n\n{{ view.told }}\n")
    source = page.page(view.report_view(compared), TEMPLATE, page.Contents())
    assert (
        source.index('<section id="results"') < source.index('id="weather"') < source.index('<section id="techniques"')
    )
    assert '<a href="#weather">Weather</a>' in source
    assert f"{len(compared['techniques'])} techniques, &lt;b&gt;rain&lt;/b&gt;" in source
    short = markdown.document(compared, TEMPLATE.with_name("report.md.j2"))
    assert short.index("## Results") < short.index("## Weather") < short.index("## Doubts")
    digests = sources.digests("scripts.render", *modules(), files=("report",))
    assert {"plugin:scripts/report/sections/weather.py", "plugin:report/partials/weather.html.j2"} <= set(digests)


def test_a_part_is_folded_into_the_details_of_its_section(compared, plugin):
    plugin(module=SECTION.replace("weather, short", 'weather, within="trust", short'), partial=PARTIAL)
    source = page.page(view.report_view(compared), TEMPLATE, page.Contents())
    assert '<a href="#weather">Weather</a>' not in source
    assert "techniques, &lt;b&gt;rain&lt;/b&gt;" in part(part(source, "trust"), "weather")
    assert part(source, "weather").startswith('<details id="weather"')


def test_a_part_of_nothing_is_one_sentence(compared, plugin):
    plugin(module=SECTION.replace("weather, short", 'weather, within="memory", short'), partial=PARTIAL)
    with pytest.raises(StudyError, match="'weather' of the report is within 'memory', which can have no parts; name"):
        sections()


def test_a_section_with_nothing_to_show_is_left_out(compared, plugin):
    plugin(module=SECTION.replace('return {"told"', 'return None and {"told"'), partial=PARTIAL)
    assert "weather" not in page.page(view.report_view(compared), TEMPLATE, page.Contents())


def test_a_partial_that_is_no_template_is_told_before_anything_runs(plugin):
    plugin(module=SECTION, partial="<p>\n{% if %}")
    with pytest.raises(StudyError, match=r"weather\.html\.j2, line 2: .*; correct the template\.$"):
        check()


def test_without_a_plugin_its_section_is_gone(compared):
    assert "weather" not in [section.id for section in sections()]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"module": "x = 1"}, "has no SECTION"),
        ({"module": SECTION, "twin": SECTION, "partial": PARTIAL}, "the id 'weather'"),
        ({"module": SECTION}, "weather.html.j2 does not exist"),
    ],
)
def test_a_section_that_is_not_whole_is_an_error(compared, plugin, files, told):
    plugin(**files)
    with pytest.raises(StudyError, match=told):
        page.page(view.report_view(compared), TEMPLATE, page.Contents())


def test_the_report_says_that_most_rows_were_rejected(compared):
    said = "4,800 of the 5,000 rows of the data are rejected (96%)"
    manifest = {"source": "newswire", "counts": {"read": 5000, "rejected": 4800, "pool": 200}, "warning": said}
    changed = compared | {"dataset": compared["dataset"] | {"manifest": manifest}}
    assert f"Of the data: {said}." in doubts.summary(changed)["sentences"]
    assert "4,800 of whose 5,000 rows were rejected" in dict(scope.facts(changed))["Data"][0]
    assert not any("rejected" in sentence for sentence in doubts.summary(compared)["sentences"])


def test_the_report_says_which_techniques_were_left_out(compared):
    said = "Left out, since models.large is null: target_only."
    assert said.rstrip(".") in dict(scope.facts(compared | {"left_out": [said]}))["Measured"]


def test_the_report_says_how_many_runs_had_neighbours(compared):
    changed = copy.deepcopy(compared)
    runs = [run for technique in changed["techniques"] if technique["status"] == "ok" for run in technique["runs"]]
    assert not any("beside them" in sentence for sentence in doubts.summary(changed)["sentences"])
    for run in runs[:2]:
        run["conditions"] = {"during": {"neighbours": 1}}
    (said,) = [sentence for sentence in doubts.summary(changed)["sentences"] if "beside them" in sentence]
    assert said.startswith(f"2 of the {len(runs)} runs had another run of this machine beside them")

"""Text from data, models and configuration stays text: through the whole workflow and in the page."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts.report.text import inert
from tests.browser.controls import use_every_control
from tests.workflow.project import Project

PWNED = "window.__pwned=1"
PAYLOADS = (
    f"</script><script>{PWNED}</script>",
    f"<img src=x onerror={PWNED}>",
    f"</style><svg onload={PWNED}></svg>",
    f"\"'><a href=javascript:{PWNED}>link</a>",
    f"[link](javascript:{PWNED}) ![image](https://example.invalid/x.png)",
    "<!--<script> ]]> --> <b>bold</b>",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "| cell | **bold** `code` # no heading",
    '=HYPERLINK("https://example.invalid";"x")',
    f"<iframe srcdoc='<script>parent.{PWNED}</script>'>",
    f"<math><mtext><script>{PWNED}</script></mtext></math>",
    "<form action=https://example.invalid><button>go</button></form>",
)
WORDS = " ".join(PAYLOADS)
UNSEEN = "right-to-left\u202e isolate\u2066 no-width\u200b"
BELL = "bell\x07"  # in data alone: a study file may not hold it
LABELS = {"baseline": PAYLOADS[0], "kv_cache": f"=1+1 {PAYLOADS[1]} | **b** \u202e"}
SCENARIO = {
    "limits": {"min_quality_kept_percent": 50},
    "weights": {"latency": 1},
}
# A description may have 200 characters.
SCENARIOS = {
    f"hostile_{number}": SCENARIO | {"label": payload, "description": f"{payload} | {UNSEEN}"}
    for number, payload in enumerate(PAYLOADS)
}
# What would have come out of a text, whichever part of the page it stood in.
_SUSPECTS = """
() => [...document.querySelectorAll("*")].flatMap((element) => [
  ...["img", "iframe", "object", "embed", "base", "math"].filter((tag) => tag === element.localName),
  ...[...element.attributes].filter(({name, value}) =>
    name.startsWith("on") || name === "srcdoc" ||
    (/href|src|action/.test(name) && !/^(#|blob:|data:image)/.test(value)))
    .map(({name, value}) => `${element.localName} ${name}=${value}`),
])
"""


@pytest.fixture(scope="module")
def hostile(browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results/ of a study in which every text is hostile that a person, a data set or a model can put there."""
    project = Project.create(tmp_path_factory.mktemp("hostile") / "project")
    rows = [
        {"short_description": f"{WORDS} {UNSEEN} {BELL} Day {number}.", "headline": f"{payload} day {number}",
         "category": payload}
        for number, payload in enumerate(PAYLOADS * 5)
    ]  # fmt: skip
    (project.root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tiny = project.study["models"]["small"]["train"]
    project.study |= {
        "title": f"{UNSEEN} {WORDS[:120]}",
        "dataset": {
            "source": "file",
            "file": {"path": "rows.jsonl"},
            "markup": "keep",
            "evaluation_share": 0.2,
            "samples": 10,  # with fewer, or one run, no winner is named, and scenarios stay empty
        },
        # So few rows are learnt by heart: the models write hostile text themselves.
        "models": {"small": {"train": tiny | {"steps": 60, "batch": 8}}},
        "generation": {"prompt": f"{WORDS} {{summary}}", "max_new_tokens": 24},
        "techniques": {name: {"label": label} for name, label in LABELS.items()},
        "select": list(LABELS),
        "scenarios": SCENARIOS,
        "comparison": {"price_per_device_hour": 1, "currency": "<b>$</b>"},
        "measurement": project.study["measurement"] | {"repeats": 2},
        "report": {"examples": 10},
    }
    outcome = project.snakemake("--set-threads", "generate=1", "prepare_model=1")
    assert outcome.status == 0, outcome.text
    return project.root / "results"


def headlines(results: Path) -> set[str]:
    """Return the headlines of the data set and those that the model wrote."""
    lines = (results / "dataset" / "eval.jsonl").read_text(encoding="utf-8").splitlines()
    written = json.loads((results / "metrics" / "baseline.json").read_text(encoding="utf-8"))["samples"]["headline"]
    return {*written, *(json.loads(line)["headline"] for line in lines)} - {"", None}


def flat(text: str) -> str:
    return " ".join(text.split())


def test_nothing_in_the_page_runs_and_every_text_is_shown(hostile: Path, open_report) -> None:
    assert any(set("<>|'\"=") & set(text) for text in headlines(hostile))
    choices = "&".join(f"{key}={quote(PAYLOADS[1])}" for key in ("find", "sort", "picked", "axes", "prompts"))
    page = open_report(hostile / "report.html", fragment=f"results&{choices}")
    shown = flat(
        page.locator("body").evaluate(
            "body => { for (const p of body.querySelectorAll('script')) p.remove(); return body.textContent; }"
        )
    )
    described = [text for each in SCENARIOS.values() for text in (each["label"], each["description"])]
    if "No winner is named" in shown:  # other programs disturbed every technique
        described = []
    for text in (WORDS, *LABELS.values(), *described, *headlines(hostile)):
        assert flat(inert(text)) in shown
    page.reload()
    for text in PAYLOADS[:4]:
        used = use_every_control(page, text)
    assert {"details", "mark", "button", "search"} <= used.keys(), used
    assert page.evaluate("window.__pwned") is None
    assert page.evaluate(_SUSPECTS) == []

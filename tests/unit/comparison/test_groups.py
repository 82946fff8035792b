"""Quality by length of summary and by category: a loss that sits in one group is found, one everywhere is not."""

import numpy as np
import pytest

from scripts.comparison import groups
from scripts.comparison.columns import NATURAL

COUNT = 240


class Scores:
    """As much of the columns as is asked for."""

    def __init__(self, **scores: np.ndarray):
        self.columns = {(name, NATURAL): {groups.GATED: values} for name, values in scores.items()}
        self.ids = {key: [str(n) for n in range(len(values["rougeL"]))] for key, values in self.columns.items()}

    def has(self, name: str, mode: str, *keys: str) -> bool:
        return (name, mode) in self.columns


def dataset(count: int = COUNT, categories: tuple[str, ...] = ("news", "sport", "art")) -> list[dict]:
    lengths = 10 + np.arange(count) % 30
    kinds = [categories[n % 7 % len(categories)] for n in range(count)]
    rows = zip(lengths, kinds, strict=True)
    return [{"id": str(n), "summary": "word " * length, "category": kind} for n, (length, kind) in enumerate(rows)]


def rows(*names: str, same: bool = False) -> list[dict]:
    change = {"figures": {"rougeL": {}}, "same_text": same}
    return [{"name": name, "parent": "plain", "changes": {"parent": change}} for name in names] + [
        {"name": "plain", "parent": None, "changes": {"parent": {"figures": None, "same_text": False}}}
    ]


def scores(loss, seed: int = 0, count: int = COUNT, spread: float = 0.1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    plain = rng.uniform(0.2, 0.8, count)
    ours = np.clip(plain * (1 - np.asarray(loss)) + rng.normal(0, spread, count), 0, 1)
    return {"plain": plain, "ours": ours}


def lengths(count: int = COUNT) -> np.ndarray:
    return 10 + np.arange(count) % 30


def test_a_loss_on_short_summaries_alone_is_found_with_its_size() -> None:
    found = groups.groups(dataset(), rows("ours"), Scores(**scores(np.where(lengths() < 20, 0.4, 0.0))))
    assert [group["n"] for group in found["groups"]["length"]] == [80, 80, 80]
    assert found["groups"]["length"][0]["label"] == "up to 19 words"
    result = found["techniques"]["ours"]["length"]
    assert result["verdict"] == groups.DIFFERS
    short, middle, long = result["kept"]
    assert (short["unit"], short["n"]) == ("%", 80)
    assert short["low"] < 60 < short["high"]
    assert long["low"] < 100 < long["high"]
    assert short["high"] < middle["low"]
    assert result["gap"]["low"] < 40 < result["gap"]["high"]
    assert found["techniques"]["ours"]["category"]["verdict"] == groups.ALIKE


def test_a_loss_in_one_category_is_found() -> None:
    data = dataset()
    loss = [0.4 if row["category"] == "art" else 0.0 for row in data]
    found = groups.groups(data, rows("ours"), Scores(**scores(loss)))
    assert found["techniques"]["ours"]["category"]["verdict"] == groups.DIFFERS
    assert found["techniques"]["ours"]["length"]["verdict"] == groups.ALIKE


@pytest.mark.parametrize("uneven", [False, True])
def test_an_even_loss_is_called_uneven_as_seldom_as_promised(uneven: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 200 studies of one technique and two groupings, also where short summaries scatter three times as much."""
    monkeypatch.setattr(groups, "PERMUTATIONS", 399)
    spread = np.where(lengths() < 20, 0.15, 0.05) if uneven else 0.1
    called = 0
    for seed in range(200):
        found = groups.groups(dataset(), rows("ours"), Scores(**scores(0.2, seed, spread=spread)))
        called += any(found["techniques"]["ours"][kind]["verdict"] == groups.DIFFERS for kind in found["groups"])
    assert called <= 19  # 5% of 200, and three standard errors


def test_the_tests_of_all_techniques_are_one_family() -> None:
    data = dataset()
    weak = scores(np.where(lengths() < 20, 0.07, 0.0), 1)
    alone = groups.groups(data, rows("ours"), Scores(**weak))["techniques"]["ours"]["length"]
    others = {f"other{n}": scores(0.2, n + 5)["ours"] for n in range(30)}
    many = groups.groups(data, rows("ours", *others), Scores(**weak, **others))
    assert many["tested"] == 62
    assert many["techniques"]["ours"]["length"]["adjusted_p_value"] >= alone["adjusted_p_value"]
    assert many["techniques"]["ours"]["length"]["p_value"] == alone["p_value"]


def test_thin_groups_say_nothing() -> None:
    few = groups.groups(dataset(50, ("news",)), rows("ours"), Scores(**scores(0.4, count=50)))
    assert few is None
    one_category = groups.groups(dataset(240, ("news",)), rows("ours"), Scores(**scores(0.4)))
    assert set(one_category["groups"]) == {"length"}
    rare = [row | {"category": f"rare {n}" if n < 100 else "news"} for n, row in enumerate(dataset())]
    found = groups.groups(rare, rows("ours"), Scores(**scores(0.4)))["groups"]["category"]
    assert found == [{"label": "news", "n": 140}, {"label": "all others", "n": 100}]


def test_the_same_headlines_are_not_compared() -> None:
    assert groups.groups(dataset(), rows("ours", same=True), Scores(**scores(0.0))) is None

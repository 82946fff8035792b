"""The columns of the results table, in the order of the table; a reader chooses which of them are shown."""

from typing import Any

from scripts.report import numbers
from scripts.report.column import PERCENT, PLAIN, Column

CHANGES, QUALITY, AUDIT = "Change against the baseline", "quality_kept", "lossless_audit"


def _time(key: str, group: str, title: str, **more: Any) -> Column:
    return Column(key, group, title, numbers.TIME, "low", **more)


def _bytes(key: str, title: str, **more: Any) -> Column:
    return Column(key, "Memory", title, numbers.BYTES, **more)


def _rouge(key: str, title: str) -> Column:
    return Column(key, "Quality", title, PLAIN, "high", 3, main=True, study=True)


def _share(key: str, group: str, title: str, decimals: int = 1) -> Column:
    return Column(key, group, title, PERCENT, decimals=decimals)


def _change(key: str, title: str, main: bool = True) -> Column:
    return Column(key, CHANGES, title, None, "high" if "latency" not in key and "memory" not in key else "low",
                  kind="change", main=main)  # fmt: skip


RESULTS = (
    _time("latency_s", "Latency", "Latency", spread=True, main=True, study=True),
    _time("latency_p99_s", "Latency", "P99 latency", main=True, study=True),
    _time("latency_p50_s", "Latency", "Median latency"),
    _time("ttft_s", "Latency", "TTFT"),
    _time("tpot_s", "Latency", "TPOT"),
    _time("fixed_latency_s", "Fixed length", "Latency, fixed length", spread=True),
    _time("fixed_tpot_s", "Fixed length", "TPOT, fixed length"),
    Column("throughput_samples_per_s", "Throughput", "Samples/s", PLAIN, "high", main=True, study=True),
    Column("throughput_tokens_per_s", "Throughput", "Tokens/s", PLAIN, "high"),
    _bytes("peak_memory_bytes", "Peak memory", better="low", main=True, study=True),
    _bytes("process_memory_bytes", "Whole process"),
    _bytes("load_peak_memory_bytes", "Added while loading"),
    _bytes("weight_bytes", "Weights"),
    _rouge("rouge1", "ROUGE-1"),
    _rouge("rouge2", "ROUGE-2"),
    _rouge("rougeL", "ROUGE-L"),
    _rouge("rougeLsum", "ROUGE-Lsum"),
    Column("reference_nll_per_token", "Quality", "Reference NLL", [(1.0, "nats/token")], "low", 3),
    Column("semantic_similarity", "Quality", "Semantic similarity", PLAIN, decimals=3),
    Column("new_tokens", "Headlines", "New tokens", PLAIN),
    _share("copied_share", "Headlines", "Copied words"),
    _share("same_headlines", "Headlines", "Same as parent"),
    _share("empty_share", "Headlines", "Empty"),
    _share("stop_length_share", "Headlines", "Runaway"),
    _share("greedy_agreement", "Headlines", "Greedy"),
    Column("energy_per_sample_j", "Cost and machine", "Energy a headline", [(1.0, "J")]),
    Column("price_per_1000", "Cost and machine", "Price of 1,000", None),
    _share("mbu_measured", "Cost and machine", "MBU", 2),
    _share("mfu_measured", "Cost and machine", "MFU", 2),
    _change("latency_change_percent", "Latency change"),
    _change("throughput_change_percent", "Samples/s change"),
    _change("peak_memory_change_percent", "Memory change"),
    _change("quality_kept_percent_rougeL", "ROUGE-L kept", main=False),
    Column(QUALITY, CHANGES, "Quality kept", None, kind="word", main=True),
    Column(AUDIT, CHANGES, "Lossless audit", None, kind="word", main=True),
)
MEASURED = tuple(column for column in RESULTS if column.kind == "figure")


def heads(names: dict[str, str], scales: dict[str, numbers.Scale], units: dict[str, str]) -> list[dict[str, Any]]:
    """Return the header of each column: what it is called, and the units of the cells and of the raw values.

    Args:
        names: of columns that are called otherwise in this study.
        scales: unit and decimals of each measured column.
        units: unit of each column's raw values.
    """
    found = []
    for column in RESULTS:
        scale = scales.get(column.key)
        found.append(
            {
                "key": column.key,
                "name": names.get(column.key, column.title),
                "group": column.group,
                "unit": scale.unit if scale else "",
                "raw_unit": "" if units.get(column.key, "") == "1" else units.get(column.key, ""),
                "kind": column.kind,
                "better": column.better,
                "main": column.main,
                "study": column.study,
                "first": not found or found[-1]["group"] != column.group,
            }
        )
    return found


def groups(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the headers by group, for the reader to choose from."""
    found: dict[str, list[dict[str, Any]]] = {}
    for head in shown:
        found.setdefault(head["group"], []).append(head)
    return [{"title": title, "columns": members} for title, members in found.items()]

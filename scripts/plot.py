"""Draw latency and memory against quality as SVG, from the comparison alone."""

import argparse
from pathlib import Path

from scripts.foundation import entry, files
from scripts.report import plots

PLOTS = {"latency_quality.svg": "latency_s", "memory_quality.svg": "peak_memory_bytes"}


def main() -> None:
    """Read the comparison and write both plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparison", required=True, help="comparison.json")
    parser.add_argument("--output", required=True, help="folder to write latency_quality.svg and memory_quality.svg to")
    arguments = parser.parse_args()
    comparison = files.read_json(arguments.comparison)
    for name, key in PLOTS.items():
        files.write_text(Path(arguments.output) / name, plots.svg(plots.plot_of(comparison, key)))


if __name__ == "__main__":
    entry.run(main)

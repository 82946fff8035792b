"""Draw latency, memory and throughput against quality as SVG, from the comparison alone."""

import argparse
from pathlib import Path

from scripts.foundation import entry, files
from scripts.report import picture, plots, rows

PLOTS = {
    "latency_quality.svg": "latency_s",
    "memory_quality.svg": "peak_memory_bytes",
    "throughput_quality.svg": rows.PER_SAMPLE,
}


def main() -> None:
    """Read the comparison and write the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparison", required=True, help="comparison.json")
    parser.add_argument("--output", required=True, help=f"folder to write {', '.join(PLOTS)} to")
    arguments = parser.parse_args()
    comparison = files.read_json(arguments.comparison)
    for name, key in PLOTS.items():
        files.write_text(Path(arguments.output) / name, plots.svg(picture.plot_of(comparison, key)))


if __name__ == "__main__":
    entry.run(main)

"""Draw latency, memory and throughput against quality as SVG, from the comparison alone."""

import argparse
from pathlib import Path

from scripts.foundation import entry, files
from scripts.report import picture, plots


def main() -> None:
    """Read the comparison and write the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparison", required=True, help="comparison.json")
    parser.add_argument("--output", required=True, help=f"folder to write {', '.join(picture.FILES)} to, as SVG")
    arguments = parser.parse_args()
    comparison = files.read_json(arguments.comparison)
    for name, key in picture.FILES.items():
        files.write_text(Path(arguments.output) / f"{name}.svg", plots.svg(picture.plot_of(comparison, key)))


if __name__ == "__main__":
    entry.run(main)

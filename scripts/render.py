"""Render the report: one HTML file that can be read without a network, made from the comparison and its plots."""

import argparse
import logging
from pathlib import Path

from scripts.foundation import entry, files
from scripts.report import curves, drawing, page, view

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).parent.parent / "report" / "report.html.j2"


def main() -> None:
    """Read comparison and plots and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparison", required=True, help="comparison.json")
    parser.add_argument("--plots", required=True, nargs="+", help="SVG plots, in the order they are shown")
    parser.add_argument("--template", default=TEMPLATE, help="template, with report.css and its partials beside it")
    parser.add_argument("--output", required=True, help="HTML file to write")
    arguments = parser.parse_args()
    comparison = files.read_json(arguments.comparison)
    drawings = [drawing.inline_svg(path, f"plot-{n}-") for n, path in enumerate(arguments.plots, start=1)]
    small = [
        drawing.inert_svg(svg, f"sweep-{n}-") if (svg := curves.svg(comparison, sweep)) else ""
        for n, sweep in enumerate(comparison["sweeps"], start=1)
    ]
    shown = page.page(view.report_view(comparison), arguments.template, drawings, small)
    files.write_text(arguments.output, shown)
    logger.info("wrote %s", arguments.output)


if __name__ == "__main__":
    entry.run(main)

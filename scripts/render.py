"""Render the report: one HTML file that can be read without a network, and a short version in Markdown."""

import argparse
import logging
from pathlib import Path

from scripts.foundation import entry, files
from scripts.report import curves, drawing, markdown, page, text, view

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).parent.parent / "report" / "report.html.j2"


def main() -> None:
    """Read comparison and plots and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparison", required=True, help="comparison.json")
    parser.add_argument("--table", required=True, help="comparison.csv, which the report carries for download")
    parser.add_argument("--plots", required=True, nargs="+", help="SVG plots, in the order they are shown")
    parser.add_argument("--template", default=TEMPLATE, help="template, with partials, styles and scripts beside it")
    parser.add_argument("--output", required=True, help="HTML file to write")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    arguments = parser.parse_args()
    comparison = files.read_json(arguments.comparison)
    drawings = {
        Path(path).stem: drawing.inline_svg(path, f"plot-{n}-") for n, path in enumerate(arguments.plots, start=1)
    }
    small = [
        drawing.inert_svg(svg, f"sweep-{n}-") if (svg := curves.svg(comparison, sweep)) else ""
        for n, sweep in enumerate(comparison["sweeps"], start=1)
    ]
    table = files.read_text(arguments.table)
    contents = page.Contents(drawings, small, text.inert_values(comparison), text.inert(table))
    files.write_text(arguments.output, page.page(view.report_view(comparison), arguments.template, contents))
    short = markdown.document(comparison, Path(arguments.template).with_name("report.md.j2"))
    files.write_text(arguments.markdown, short)
    logger.info("wrote %s and %s", arguments.output, arguments.markdown)


if __name__ == "__main__":
    entry.run(main)

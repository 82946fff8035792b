"""Compare two studies: what differs between them, what an upgrade cost, and whether anything is worse.

OLD and NEW are comparison.json files that the workflow wrote. What is written is one HTML file that needs no network,
and a summary in Markdown; the first lines of it are printed.
"""

import argparse
import sys
from pathlib import Path

from scripts.comparison.studies import compare, judging, reading
from scripts.foundation import entry, files, text
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown
from scripts.report import studies_documents as documents

CANNOT = 2
INTERRUPTED = 130  # as a shell has it
LARGEST = 1000.0
HELP = f"""\
A bound is how much worse, in percent, a figure may be: latency (of requests that end by themselves, and of a fixed
length), throughput (samples per second), memory (peak), quality (ROUGE-L). A figure counts as worse only where a test
shows it to be worse by more than its bound: Student's t over the runs of either study and over prompts, after Holm's
correction over all changes that decide. With one run of a study nothing about times or memory is tested, so nothing of
it counts as worse; the summary says so. docs/measuring.md has the method.

What can count as worse (--fail-on):
{chr(10).join(f"  {name:<9} {what}" for name, what in compare.REASONS.items())}

Exit status:
  0  nothing counts as worse
  1  something does; the summary names it
  {CANNOT}  the files can't be compared, nothing in them can, or an argument is wrong; one sentence says why
"""


def main() -> None:
    """Compare, write both documents, print the summary, and exit with 1 where something counts as worse."""
    try:
        _compare()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _compare() -> None:
    arguments = _parser().parse_args()
    bounds = judging.BOUNDS | {kind: percent for given in arguments.bound for kind, percent in given.items()}
    _check_outputs(arguments)
    found = compare.compare(
        reading.read(arguments.old),
        reading.read(arguments.new),
        compare.Choices(bounds, arguments.judge, arguments.fail_on),
    )
    files.write_text(arguments.html, documents.page_of(found))
    files.write_text(arguments.markdown, documents.short(found))
    sys.stdout.reconfigure(errors="replace")
    for sentence in documents.lines(found):
        print(text.one_line(" ".join(sentence.split())))
    print(f"Written: {arguments.html} and {arguments.markdown}")
    if found["worse"]:
        sys.exit(1)
    if not any(row["changes"] for row in found["techniques"]):
        raise StudyError(
            "no technique has figures in both studies under the same settings, so nothing could be compared; "
            f"{arguments.html} says why for each."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.compare_studies",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = ", ".join(f"{name}={bound:g}" for name, bound in judging.BOUNDS.items())
    parser.add_argument("old", metavar="OLD.json", help="comparison.json of the previous study")
    parser.add_argument("new", metavar="NEW.json", help="comparison.json of the new study")
    parser.add_argument("--html", default="studies.html", help="page to write (default: %(default)s)")
    parser.add_argument("--markdown", default="studies.md", help="summary to write (default: %(default)s)")
    parser.add_argument(
        "--bound",
        action="append",
        default=[],
        type=_bounds,
        metavar="KIND=PERCENT[,…]",
        help=f"how much worse figures of a kind may be; kinds that are not named keep their bound (default: {usual})",
    )
    parser.add_argument(
        "--judge",
        choices=(compare.AUTO, judging.ABSOLUTE, judging.BASELINE),
        default=compare.AUTO,
        help="whether times and memory are judged as they are (absolute) or relative to the baseline of their own "
        "study; auto, the default, takes the former on one kind of machine and the latter on two",
    )
    parser.add_argument(
        "--fail-on",
        type=_reasons,
        default=compare.ALWAYS,
        metavar="WHAT[,…]",
        help=f"what counts as worse, of those below (default: {','.join(compare.ALWAYS)})",
    )
    return parser


def _bounds(given: str) -> dict[str, float]:
    """Read bounds as ``latency=10,memory=5``."""
    found = {}
    for part in given.split(","):
        name, _, value = part.partition("=")
        if name not in judging.BOUNDS:
            raise argparse.ArgumentTypeError(
                f"{shown(part)} names no kind; write latency=10, or one of {', '.join(judging.BOUNDS)}"
            )
        most = LARGEST if name in ("latency", "memory") else 99.0
        try:
            found[name] = float(value.removesuffix("%"))
        except ValueError:
            found[name] = -1.0
        if not 0 <= found[name] <= most:
            raise argparse.ArgumentTypeError(f"{shown(part)} is no bound; it is a number of percent, 0 to {most:g}")
    return found


def _reasons(given: str) -> tuple[str, ...]:
    """Read what counts as worse, as ``figures,status``."""
    found = tuple(given.split(","))
    unknown = next((name for name in found if name not in compare.REASONS), None)
    if unknown is not None:
        raise argparse.ArgumentTypeError(f"{shown(unknown)} can't count as worse; use {', '.join(compare.REASONS)}")
    return found


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse to write over what is read, and one document over the other."""
    places = [Path(each).resolve() for each in (arguments.html, arguments.markdown, arguments.old, arguments.new)]
    if places[0] == places[1] or {*places[:2]} & {*places[2:]}:
        raise StudyError("--html and --markdown name a file that is read, or each other's; choose another name.")
    for place in (arguments.html, arguments.markdown):
        if Path(place).is_dir():
            raise StudyError(f"{place} is a directory; name a file to write.")
        if above := next((each for each in Path(place).parents if each.exists() and not each.is_dir()), None):
            raise StudyError(f"{above} is a file, so {place} can't lie in it; name another place.")


if __name__ == "__main__":
    entry.run(main, fault=CANNOT)

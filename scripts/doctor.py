"""Say what this machine can run of a study and what not, with reason and remedy, and what the study will take.

Nothing runs and nothing is written. The exit status is 0 when everything can run, 1 when something can't or the study
is wrong. A technique that can't run stays out of the figures; the study still runs, and its report says why.
"""

import argparse
import os
import sys

from scripts.foundation import entry
from scripts.readiness import page
from scripts.study import preflight


def main() -> None:
    """Read the study, look at the machine, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", nargs="+", default=[], help="the study, as for snakemake")
    parser.add_argument("--config", nargs="+", default=[], help="keys of the study, as for snakemake: key=value")
    parser.add_argument("--directory", help="where the study is to run, as for snakemake")
    arguments = parser.parse_args()
    preflight.check_folder(arguments.directory)
    if arguments.directory and os.path.isdir(arguments.directory):
        files = [os.path.abspath(file) for file in arguments.configfile]
        os.chdir(arguments.directory)
    else:
        files = arguments.configfile
    lines, able = page.lines(files, arguments.config)
    sys.stdout.reconfigure(errors="replace")
    print("\n".join(lines))
    sys.exit(0 if able else 1)


if __name__ == "__main__":
    entry.run(main)

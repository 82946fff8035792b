"""Make a folder ready for a run: look whether it can be written, and take away the lock that a killed run left."""

import argparse
from pathlib import Path

from scripts.foundation import entry
from scripts.study import results_folder, running


def main() -> None:
    """Check the current folder, and say what was done."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for folder in (Path(".snakemake"), Path("results")):
        results_folder.check(folder)
    if running.unlock():
        print("Unlocked the folder: an earlier run was ended before it could, and no Snakemake works here.")


if __name__ == "__main__":
    entry.run(main)

"""Choose the number of CPU threads for a study's runs, by timing requests with several on this machine.

python -m scripts.choose_threads --model results/models/small/manifest.json --output results/threads.json
"""

import argparse
import logging
from pathlib import Path

from scripts.foundation import entry, files
from scripts.inference import machine, thread_choice

log = logging.getLogger(__name__)


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="manifest.json of the model that writes")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write")
    arguments = parser.parse_args()
    manifest = files.read_json(arguments.model)
    directory = arguments.model.parent / manifest["path"]
    counts = thread_choice.candidates(machine.usable_cores())
    found = thread_choice.measured(directory, manifest["dtype"], counts) | {"model": arguments.model.parent.name}
    files.write_json(arguments.output, found)
    times = ", ".join(f"{count}: {1000 * seconds:.1f} ms" for count, seconds in found["seconds"].items())
    log.info("%d CPU threads a process, by the time of a request with each number (%s)", found["threads"], times)


if __name__ == "__main__":
    entry.run(main)

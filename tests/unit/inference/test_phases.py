"""Where a run's time goes, from the start of its process."""

import subprocess
import sys
import time

from scripts.foundation import modules

AGE = "from scripts.inference.phases import age_s; print(age_s())"


def test_the_age_of_a_process_is_counted_from_its_start():
    began = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", f"import time; time.sleep(0.3); {AGE}"], env=modules.environment(), capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    # The start is known to a clock tick of 10 ms.
    assert 0.3 <= float(said) <= time.perf_counter() - began + 0.02

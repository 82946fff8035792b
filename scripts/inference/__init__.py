"""Running a technique: leases, loading, the timed loop, the workers, and readings of memory and machine."""
